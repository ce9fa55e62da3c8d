"""Settings come from the environment, and a wrong one is named."""

from typing import Annotated

import pytest
from msgspec import Meta, Struct

from sage_chassis.settings import HTTP_URL, Listen, RedisURL, SettingsError, describe, load


class Settings(Struct, frozen=True, kw_only=True):
    redis_url: RedisURL
    engines: tuple[str, ...] = ()
    limit_seconds: Annotated[float, Meta(gt=0, description="How long.")] = 2.5
    on: bool = False
    api_key: Annotated[str, Meta(pattern="^sk-")] = "sk-"


def test_variables_become_fields() -> None:
    env = {
        "SAGE_REDIS_URL": "redis://r",
        "SAGE_X_ENGINES": "http://a, http://b,",
        "SAGE_X_LIMIT_SECONDS": "4",
        "SAGE_X_ON": "true",
        "SAGE_X_UNKNOWN": "1",
    }

    assert load(Settings, prefix="SAGE_X_", env=env) == Settings(
        redis_url="redis://r", engines=("http://a", "http://b"), limit_seconds=4, on=True
    )


def test_an_empty_variable_is_an_absent_one() -> None:
    assert (
        load(Settings, prefix="SAGE_X_", env={"SAGE_REDIS_URL": "redis://r", "SAGE_X_LIMIT_SECONDS": " "}).limit_seconds
        == 2.5
    )


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, "SAGE_REDIS_URL is not set"),
        ({"SAGE_REDIS_URL": "redis://r", "SAGE_X_LIMIT_SECONDS": "soon"}, "SAGE_X_LIMIT_SECONDS='soon': "),
        ({"SAGE_REDIS_URL": "redis://r", "SAGE_X_LIMIT_SECONDS": "-1"}, "SAGE_X_LIMIT_SECONDS='-1': "),
        ({"SAGE_REDIS_URL": "redis://r", "SAGE_X_ON": "maybe"}, "SAGE_X_ON='maybe': "),
    ],
)
def test_a_wrong_variable_is_named(env: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, prefix="SAGE_X_", env=env)
    assert told in str(caught.value)


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"SAGE_REDIS_URL is not set; SAGE_X_ON='maybe'"):
        load(Settings, prefix="SAGE_X_", env={"SAGE_X_ON": "maybe"})


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, prefix="SAGE_X_", env={"SAGE_REDIS_URL": "redis://r", "SAGE_X_API_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_settings_describe_themselves() -> None:
    rows = {row.name: row for row in describe(Settings, prefix="SAGE_X_")}

    assert list(rows) == ["SAGE_REDIS_URL", "SAGE_X_ENGINES", "SAGE_X_LIMIT_SECONDS", "SAGE_X_ON", "SAGE_X_API_KEY"]
    assert rows["SAGE_REDIS_URL"].default is None
    assert (rows["SAGE_X_LIMIT_SECONDS"].default, rows["SAGE_X_LIMIT_SECONDS"].description) == ("2.5", "How long.")


def test_a_default_stands_in_for_an_absent_variable() -> None:
    assert load(Listen, prefix="SAGE_X_", env={}, defaults={"port": 8011}).port == 8011
    assert load(Listen, prefix="SAGE_X_", env={"SAGE_X_PORT": "9"}, defaults={"port": 8011}).port == 9


@pytest.mark.parametrize("level", ["info", "WARNING", "Debug"])
def test_log_levels_are_read_in_any_case(level: str) -> None:
    assert load(Listen, prefix="X_", env={"SAGE_LOG_LEVEL": level, "X_PORT": "1"}).log_level == level


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999"])
def test_a_number_of_seconds_is_finite(value: str) -> None:
    with pytest.raises(SettingsError, match="SAGE_X_LIMIT_SECONDS"):
        load(Settings, prefix="SAGE_X_", env={"SAGE_REDIS_URL": "redis://r", "SAGE_X_LIMIT_SECONDS": value})


def test_an_address_with_credentials_is_not_shown() -> None:
    class Upstream(Struct, frozen=True, kw_only=True):
        url: Annotated[str, Meta(pattern=HTTP_URL)]

    with pytest.raises(SettingsError) as refused:
        load(Upstream, prefix="SAGE_X_", env={"SAGE_X_URL": "ftp://user:secret@h"})

    assert "secret" not in str(refused.value)
