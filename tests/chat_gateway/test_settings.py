from typing import Any

import pytest

from chat_gateway.app import _upstream
from chat_gateway.domain.resolving import Upstream
from chat_gateway.settings import PREFIX, Settings
from sage_chassis import settings
from sage_chassis.settings import SettingsError


def loaded(**env: str) -> Settings:
    return settings.load(Settings, prefix=PREFIX, env=env)


def test_nothing_needs_to_be_set() -> None:
    told = loaded()

    assert (told.session_store_url, told.rag_budget_tokens) == ("http://127.0.0.1:8012", 1200)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGE_CHAT_GATEWAY_IDLE_SECONDS", "soon"),
        ("SAGE_CHAT_GATEWAY_CONNECT_SECONDS", "0"),
        ("SAGE_CHAT_GATEWAY_CONNECT_SECONDS", "inf"),
        ("SAGE_SESSION_STORE_URL", "session-store"),
        ("SAGE_CHAT_BASE_URL", "localhost:11434"),
        ("SAGE_CHAT_BASE_URL", "http://h:1/v1?key=secret"),
        ("SAGE_CHAT_GATEWAY_RAG_BUDGET_TOKENS", "-1"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        loaded(**{name: value})


@pytest.mark.parametrize(
    ("env", "upstream"),
    [
        ({}, None),
        ({"SAGE_CHAT_BASE_URL": "http://h:1"}, Upstream("http://h:1/v1")),
        ({"SAGE_CHAT_BASE_URL": "http://h:1/"}, Upstream("http://h:1/v1")),
        (
            {"SAGE_CHAT_BASE_URL": "https://h/api/v4/", "SAGE_CHAT_MODEL": "m", "SAGE_CHAT_API_KEY": "k"},
            Upstream("https://h/api/v4", "m", "k"),
        ),
    ],
)
def test_the_upstream_is_what_users_already_set(env: dict[str, Any], upstream: Upstream | None) -> None:
    assert _upstream(loaded(**env)) == upstream


def test_a_described_setting_says_what_it_is_for() -> None:
    assert all(variable.description for variable in settings.describe(Settings, prefix=PREFIX))
