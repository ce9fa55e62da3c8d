"""The environment as a table, and a start that is refused."""

import pytest

from sage_chassis.redis_client import connect
from sage_chassis.settings import SettingsError
from session_store.settings import Settings, read


def test_nothing_set_is_the_default() -> None:
    assert read({}) == Settings()


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5_400), ("30d", 2_592_000)]
)
def test_a_ttl_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    assert read({"SAGE_SESSION_TTL": text}).ttl_seconds == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGE_REDIS_URL", "localhost:6379"),
        ("SAGE_REDIS_URL", "redis://:secret@localhost:port/0"),
        ("SAGE_SESSION_TTL", "soon"),
        ("SAGE_SESSION_TTL", "-1"),
        ("SAGE_SESSION_TTL", "1w"),
        ("SAGE_GATEWAY_SESSION_BACKEND", "sqlite"),
        ("SAGE_SESSION_STORE_TOKENIZERS", "tiny"),
        ("SAGE_SESSION_STORE_TOKENIZERS", "tiny=a.json,=b.json"),
        ("SAGE_SESSION_STORE_MAX_DIALOGS", "0"),
        ("SAGE_SESSION_STORE_BUDGET_TOKENS", "-5"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read({name: value})


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:p%40ss@10.0.0.1:6379/3",
        "rediss://user:word@redis.example:6380/0?ssl_cert_reqs=none",
        "redis://[::1]:6379",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_an_address_of_redis_may_be_any_that_redis_py_reads(url: str) -> None:
    connect(url)

    assert read({"SAGE_REDIS_URL": url}).redis_url == url


def test_a_wrong_address_of_redis_does_not_show_its_password() -> None:
    with pytest.raises(SettingsError) as caught:
        read({"SAGE_REDIS_URL": "redis://:secret@localhost:port/0"})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("backend", ["short_term", "vdb", "kv", "graph"])
def test_each_memory_may_be_chosen(backend: str) -> None:
    assert read({"SAGE_GATEWAY_SESSION_BACKEND": backend}).memory_backend == backend


def test_tokenizers_are_paths_by_model() -> None:
    found = read({"SAGE_SESSION_STORE_TOKENIZERS": "qwen/2=/a/b=c.json, *=/d.json"})

    assert {model: str(path) for model, path in found.tokenizer_paths().items()} == {
        "qwen/2": "/a/b=c.json",
        "*": "/d.json",
    }
