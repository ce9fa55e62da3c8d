"""The words of a message's content, which is text, a list of parts, or nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

Content = str | Sequence[Mapping[str, Any]] | None


def text_of(content: Content) -> str:
    """All its text; parts that are not text have none."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(text for part in content if (text := part_text(part)) is not None)


def part_text(part: Mapping[str, Any]) -> str | None:
    """The text of one part; None when it is something else, as an image."""
    text = part.get("text", part.get("refusal"))
    return text if isinstance(text, str) else None
