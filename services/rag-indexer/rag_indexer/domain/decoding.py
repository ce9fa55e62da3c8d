"""From bytes to text, or to the reason why it is none."""

from rag_indexer.domain.ports import Unreadable


def as_text(data: bytes) -> str:
    """Raises Unreadable for what is no text, or is empty."""
    if b"\0" in data:
        raise Unreadable("binary, not text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 (byte {error.start})") from error
    if not text.strip():
        raise Unreadable("empty")
    return text
