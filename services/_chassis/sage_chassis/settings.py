"""Settings are a frozen struct, filled once from the environment."""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from sage_chassis import redis_urls

T = TypeVar("T", bound=msgspec.Struct)

RedisURL = Annotated[
    str,
    Meta(
        pattern=redis_urls.PATTERN,
        description="The Redis or Valkey that all services share: `redis://host:port/0`,"
        " `redis+sentinel://host:port,host:port/master/0` or `redis+cluster://host:port,host:port`; `rediss` for TLS.",
        extra={"env": "SAGE_REDIS_URL"},
    ),
]

HTTP_URL = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
"""What the address of a server looks like: paths are put behind it, so it has no query."""


class SettingsError(Exception):
    """The environment does not describe a valid configuration; the message names the variable."""


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads under its own prefix, beside its own settings."""

    port: Annotated[int, Meta(ge=1, le=65535, description="The port to listen on.")]
    host: Annotated[str, Meta(min_length=1, description="The address to listen on.")] = "127.0.0.1"
    log_level: Annotated[
        str,
        Meta(
            pattern="^(?i:debug|info|warning|error)$",
            description="debug, info, warning or error.",
            extra={"env": "SAGE_LOG_LEVEL"},
        ),
    ] = "info"
    stop_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="How long streams may go on after the service was told to stop.",
            extra={"env": "SAGE_STOP_SECONDS"},
        ),
    ] = 30.0


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting as the documentation shows it."""

    name: str
    field: str
    type: str
    default: str | None
    description: str


def load(
    kind: type[T], *, prefix: str, env: Mapping[str, str] = os.environ, defaults: Mapping[str, object] | None = None
) -> T:
    """
    Read one variable per field: field `port` with prefix `SAGE_X_` is `SAGE_X_PORT`, unless its Meta names another.

    An empty variable counts as absent; `defaults` stand in for absent ones. Raises SettingsError that names every wrong
    variable.
    """
    given: dict[str, object] = dict(defaults or {})
    wrong: list[str] = []
    for field in msgspec.structs.fields(kind):
        name = _variable_name(field, prefix)
        text = env.get(name, "").strip()
        if text:
            try:
                given[field.name] = _finite(msgspec.convert(_parsed(text, field.type), field.type, strict=False))
            except (msgspec.MsgspecError, ValueError) as error:
                wrong.append(f"{name}={_shown(name, text)}: {error}")
        elif field.required and field.name not in given:
            wrong.append(f"{name} is not set")
    if wrong:
        raise SettingsError("; ".join(wrong))
    return kind(**given)


def describe(kind: type[msgspec.Struct], *, prefix: str) -> Iterator[Variable]:
    """Every variable `load` reads for `kind`, in the order of its fields."""
    for field in msgspec.structs.fields(kind):
        info = _meta(field.type)
        default = None if field.required else _as_written(msgspec.to_builtins(field.default))
        yield Variable(
            name=_variable_name(field, prefix),
            field=field.name,
            type=_type_name(field.type),
            default=default,
            description=(info.description if info else None) or "",
        )


def _as_written(value: object) -> str:
    """As one would write it in the environment."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ",".join(map(_as_written, value))
        case _:
            return str(value)


def _variable_name(field: msgspec.structs.FieldInfo, prefix: str) -> str:
    info = _meta(field.type)
    extra = (info.extra if info else None) or {}
    return str(extra.get("env", prefix + field.name.upper()))


def _meta(annotation: Any) -> Meta | None:
    found = [item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, Meta)]
    return found[0] if found else None


def _parsed(text: str, annotation: Any) -> object:
    """A list is written with commas; everything else is left to msgspec."""
    origin = getattr(_bare(annotation), "__origin__", None)
    if origin in {tuple, list}:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _finite(value: object) -> object:
    """An endless or a missing number has no meaning to a clock."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("Expected a finite number")
    return value


def _bare(annotation: Any) -> Any:
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _type_name(annotation: Any) -> str:
    bare = _bare(annotation)
    return bare.__name__ if isinstance(bare, type) and not hasattr(bare, "__origin__") else str(bare)


def _shown(name: str, text: str) -> str:
    is_secret = any(word in name for word in ("KEY", "PASSWORD", "SECRET", "REDIS_URL")) or "@" in text
    return "***" if is_secret else repr(text)
