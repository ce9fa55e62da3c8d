"""What vector stores call attributes and filters, in our words: front matter, and what it must be."""

from collections.abc import Mapping
from typing import Any

from rag_indexer.domain.documents import Meta
from sage_contracts.errors import InvalidRequest

FILE_ID = "file_id"
"""The field that tells which file a document is; nobody else may set it."""

MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512


def checked(attributes: Mapping[str, str | float | bool] | None) -> Meta:
    """Raises InvalidRequest for what OpenAI would refuse, and for our own field."""
    found = _measured(attributes or {}, "attributes")
    if FILE_ID in found:
        raise InvalidRequest(f"{FILE_ID} is told by itself, and cannot be an attribute", param="attributes")
    return dict(found)


def metadata(pairs: Mapping[str, str] | None) -> dict[str, str]:
    """Raises InvalidRequest."""
    return dict(_measured(pairs or {}, "metadata"))


def told(meta: Mapping[str, Any]) -> dict[str, Any]:
    """A document's own fields as attributes: a list becomes one text."""
    own = {key: value for key, value in meta.items() if key != FILE_ID}
    return {key: ", ".join(value) if isinstance(value, list) else value for key, value in own.items()}


def wanted(filters: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Raises InvalidRequest for all but `eq` and `in`, joined by `and`."""
    if not filters:
        return {}
    match filters:
        case {"type": "and", "filters": [*parts]} if all(isinstance(part, Mapping) for part in parts):
            found: dict[str, list[Any]] = {}
            for part in parts:
                for key, values in wanted(part).items():
                    found[key] = [value for value in found[key] if value in values] if key in found else values
                    if not found[key]:
                        raise InvalidRequest(f"filters: nothing can be all that is asked of {key!r}", param="filters")
            return found
        case {"type": "eq", "key": str() as key, "value": value} if _is_scalar(value):
            return {key: [value]}
        case {"type": "in", "key": str() as key, "value": [*values]} if values and all(map(_is_scalar, values)):
            return {key: list(values)}
    raise InvalidRequest(
        f"filters: there are eq and in, joined by and; not {filters.get('type')!r} as it stands here", param="filters"
    )


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _measured(pairs: Mapping[str, Any], param: str) -> Mapping[str, Any]:
    too_long = [key for key, value in pairs.items() if len(key) > MAX_KEY or len(str(value)) > MAX_VALUE]
    if len(pairs) > MAX_PAIRS or too_long or "" in pairs:
        limits = f"{MAX_PAIRS} pairs, keys of {MAX_KEY} and values of {MAX_VALUE} letters"
        raise InvalidRequest(f"{param} may have at most {limits}", param=param)
    return pairs
