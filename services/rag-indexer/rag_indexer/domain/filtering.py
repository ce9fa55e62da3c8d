"""Which passages a search means: the filters of a request, checked and in our own words."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args

from rag_indexer.domain.documents import EVERYTHING, TYPES, Filters, Scalar
from sage_contracts.errors import InvalidRequest

_KNOWN = ("path_prefix", "type", "modified_after", "modified_before", "meta")

MAX_VALUES = 100
"""Of one filter: each is a condition the store has to check."""


def chosen(filters: Mapping[str, object] | None) -> Filters:
    """Raises InvalidRequest, naming the filter that is unknown or cannot be."""
    if not filters:
        return EVERYTHING
    if unknown := sorted(filters.keys() - set(_KNOWN)):
        raise InvalidRequest(f"unknown filter {unknown[0]!r}; there are: {', '.join(_KNOWN)}", param="filters")
    return Filters(
        path_prefix=_text(filters.get("path_prefix"), "path_prefix"),
        types=_types(filters.get("type")),
        modified_after=_time(filters.get("modified_after"), "modified_after"),
        modified_before=_time(filters.get("modified_before"), "modified_before"),
        meta=_meta(filters.get("meta")),
    )


def _text(value: object, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _wrong(name, "a string")
    return value or None


def _types(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    types = _listed(value, "type")
    if not types or any(one not in TYPES for one in types):
        raise _wrong("type", f"one or a list of {', '.join(TYPES)}")
    return tuple(map(str, types))


def _time(value: object, name: str) -> float | None:
    """Unix seconds; a time without a zone is UTC, as all of ours are."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(name, "a time, as 2026-01-31 or 2026-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError as error:
        raise _wrong(name, "a time, as 2026-01-31 or 2026-01-31T12:00:00Z") from error


def _meta(value: object) -> dict[str, tuple[Scalar, ...]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise _wrong("meta", "an object of front matter fields")
    return {str(key): _scalars(wanted, f"meta.{key}") for key, wanted in value.items()}


def _scalars(value: object, name: str) -> tuple[Scalar, ...]:
    values = tuple(one for one in _listed(value, name) if isinstance(one, get_args(Scalar)))
    if not values or len(values) != len(_listed(value, name)):
        raise _wrong(name, "a string, a number, true or false, or a list of them")
    return values


def _listed(value: object, name: str) -> Sequence[object]:
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_VALUES:
        raise _wrong(name, f"at most {MAX_VALUES} values")
    return values


def _wrong(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {what}", param=f"filters.{name}")
