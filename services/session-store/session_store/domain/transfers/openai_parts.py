"""The parts of a message's content: as chat completions write them, and as conversation items do."""

from collections.abc import Mapping
from typing import Any

from session_store.domain.texts import Content
from session_store.domain.transfers.reading import list_of, object_of, wrong

Parts = list[dict[str, Any]]


def told(content: Content, role: str) -> Parts:
    """As items write them; a part they have no word for stays as it is."""
    if content is None or isinstance(content, str):
        return [_text(content, role)] if content else []
    return [_told(part, role) for part in content]


def read(content: object, place: str) -> str | Parts | None:
    """As chat completions write them."""
    if content is None or isinstance(content, str):
        return content
    return [_read(object_of(part, f"{place}[{n}]"), f"{place}[{n}]") for n, part in enumerate(list_of(content, place))]


def simplified(content: str | Parts | None) -> str | Parts | None:
    """One text alone is a text, and no part at all is nothing."""
    if isinstance(content, list):
        if not content:
            return None
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            return str(content[0]["text"])
    return content


def thought_in(item: Mapping[str, Any]) -> str | None:
    """The text of a reasoning item: what was thought, else its summary."""
    for name in ("content", "summary"):
        parts = item.get(name)
        if isinstance(parts, list):
            texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
            if texts:
                return "\n".join(texts)
    return None


def _text(text: str, role: str) -> dict[str, Any]:
    if role == "assistant":
        return {"type": "output_text", "text": text, "annotations": []}
    return {"type": "input_text", "text": text}


def _told(part: Mapping[str, Any], role: str) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text), **rest} if not rest:
            return _text(text, role)
        case {"type": "image_url", "image_url": {"url": str(url), **rest}}:
            return {"type": "input_image", "image_url": url, "detail": rest.get("detail", "auto")}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
    return dict(part)


def _read(part: Mapping[str, Any], place: str) -> dict[str, Any]:
    match part:
        case {"type": "input_text" | "output_text" | "text"}:
            text = part.get("text")
            if not isinstance(text, str):
                raise wrong(f"{place}.text", "Expected `str`")
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url), **rest}:
            detail = rest.get("detail")
            return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
        case {"type": "input_file", **file}:
            return {"type": "file", "file": file}
        case {"type": str()}:
            return dict(part)
    raise wrong(f"{place}.type", "Expected the type of a part")
