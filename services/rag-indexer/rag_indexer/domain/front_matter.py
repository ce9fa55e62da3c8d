"""Read what a document says of itself in front: a safe, flat subset of YAML, with nothing that can grow or nest."""

import re
from collections.abc import Sequence

from rag_indexer.domain.documents import Meta, Scalar

MAX_FIELDS = 64
MAX_ITEMS = 64
MAX_TEXT = 1_000
"""Characters of one value; what is longer is cut, and what is more is left out."""
_MAX_LIST = 20_000
"""Characters of a list in brackets that are looked at."""

_FIELD = re.compile(r"([A-Za-z_][\w .-]{0,63}?)[ \t]*:(?:[ \t]+(.*))?")
_ITEM = re.compile(r"[ \t]*-(?:[ \t]+(.*))?")
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_WORDS: dict[str, bool] = {"true": True, "false": False}
_NULLS = {"", "~", "null"}


def length(lines: Sequence[str]) -> int:
    """How many lines it takes, its marks included; 0 when there is none."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() in {"---", "..."}:
            return number
    return 0


def fields(lines: Sequence[str]) -> Meta:
    """
    Scalars and lists of scalars by name, lower case, from the lines between the marks.

    Dates stay as they are written. Whatever else YAML knows (objects in objects, anchors, tags) is left out.
    """
    found: Meta = {}
    number = 0
    while number < len(lines) and len(found) < MAX_FIELDS:
        match = _FIELD.fullmatch(lines[number].rstrip())
        number += 1
        if match is None:
            continue
        below = _below(lines, number)
        number += len(below)
        value = _value(match.group(2) or "", below)
        if value is not None:
            found[match.group(1).lower()] = value
    return found


def title(meta: Meta) -> str | None:
    """The field of that name, if it says anything."""
    value = meta.get("title")
    return " ".join(str(value).split()) or None if value is not None and not isinstance(value, list) else None


def _below(lines: Sequence[str], start: int) -> Sequence[str]:
    """The lines that belong to the field before them: indented ones, items of a list, and blank ones between."""
    end = start
    while end < len(lines) and (
        not lines[end].strip() or lines[end][0] in " \t" or _ITEM.fullmatch(lines[end].rstrip())
    ):
        end += 1
    return lines[start:end]


def _value(text: str, below: Sequence[str]) -> Scalar | list[str] | None:
    text = _without_comment(text.strip())
    filled = [line.strip() for line in below if line.strip() and not line.strip().startswith("#")]
    if text in {"|", "|-", "|+", ">", ">-", ">+"}:
        return (("\n" if text[0] == "|" else " ").join(filled))[:MAX_TEXT] or None
    if text.startswith("["):
        return _items(_inside(" ".join([text, *filled])))
    if not text and filled:
        items = [_ITEM.fullmatch(line) for line in filled]
        return _items([match.group(1) or "" for match in items if match]) if all(items) else None
    if text.startswith(("{", "&", "*", "!")):
        return None
    return _scalar(" ".join([text, *filled]))


def _items(texts: Sequence[str]) -> list[str] | None:
    """As text, so that a filter need not know how a list was written; items that are no scalars are left out."""
    values = [
        _unquoted(_without_comment(text.strip()))
        for text in texts
        if not text.strip().startswith(("{", "[", "&", "*", "!"))
    ]
    return [value[:MAX_TEXT] for value in values if value not in _NULLS][:MAX_ITEMS] or None


def _inside(text: str) -> list[str]:
    """The items of `[a, "b, c"]`; a comma inside quotes does not part."""
    items = [""]
    quote = ""
    for letter in text[1:_MAX_LIST]:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and not items[-1].strip():
            quote = letter
        elif letter == "]":
            break
        elif letter == ",":
            items.append("")
            continue
        items[-1] += letter
    return items


def _scalar(text: str) -> Scalar | None:
    if text[:1] in {'"', "'"}:
        return _unquoted(text)[:MAX_TEXT]
    if text.lower() in _NULLS:
        return None
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text[:MAX_TEXT]


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match.group(1), match.group(1)), text[1:-1])
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text


def _without_comment(text: str) -> str:
    if text[:1] in {'"', "'"}:
        end = text.find(text[0], 1)
        while 0 < end < len(text) - 1 and (text[end - 1] == "\\" or text[end + 1] == text[0]):
            end = text.find(text[0], end + 2)
        return text[: end + 1] if end > 0 else text
    at = text.find(" #")
    return text[:at].rstrip() if at >= 0 else text if not text.startswith("#") else ""
