"""Foreign JSON read strictly: what is wrong is said with the place where it stands."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from sage_contracts.errors import InvalidRequest
from session_store.domain.records import MICROS

T = TypeVar("T")

_EARLIEST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def converted(value: object, kind: type[T], place: str) -> T:
    """`value` as a `kind`; InvalidRequest that names the place within `place`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        raise wrong(place + where.rpartition("`$")[2].rstrip("`"), message) from error


def object_of(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise wrong(place, "Expected `object`")
    return value


def list_of(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong(place, "Expected `array`")
    return value


def text_or(value: object, place: str, otherwise: str = "") -> str:
    """`otherwise` where there is nothing."""
    if value is None:
        return otherwise
    if not isinstance(value, str):
        raise wrong(place, "Expected `str`")
    return value


def moment(value: object, place: str) -> datetime | None:
    """Seconds since 1970, or as some write them milli-, micro- or nanoseconds, told apart by their size."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LATEST * 1e9:
        raise wrong(place, "Expected a time in seconds")
    seconds = float(value)
    while seconds > 1e11:
        seconds /= 1000
    if not 0 <= seconds < _LATEST:
        raise wrong(place, "Expected a time in seconds")
    return datetime.fromtimestamp(seconds, UTC)


def micros(time: datetime, place: str) -> int:
    """A time without a zone is UTC."""
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return dated(round(aware.timestamp() * MICROS), place)


def dated(at_us: int, place: str) -> int:
    """InvalidRequest where no calendar has such a day."""
    if not _EARLIEST * MICROS <= at_us < _LATEST * MICROS:
        raise wrong(place, "Expected a time in the years 1 to 9998")
    return at_us


def wrong(place: str, message: str) -> InvalidRequest:
    shown = place.lstrip(".")
    return InvalidRequest(f"{shown}: {message}" if shown else message, param=shown or None)
