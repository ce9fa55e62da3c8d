"""A title taken from what was asked first."""

import re
from collections.abc import Iterable

from sage_contracts.sessions import Message, NewMessage
from session_store.domain.texts import text_of

UNTITLED = "New chat"
MAX_CHARS = 60
_READ_CHARS = 2_000
_JOINERS = "\u200c\u200d"
"""Not seen, but without them emoji fall apart, and Persian words too."""

_AROUND = " \t\"'`*_#“”„«»‘’「」《》"  # noqa: RUF001 - engines write them
_PREFIX = re.compile(r"(?:title|标题|题目|titel|titre)\s*[::]\s*", re.IGNORECASE)


def title_from(messages: Iterable[NewMessage | Message]) -> str:
    """The first user message with words in it, on one line, cut between words; empty when there is none."""
    for message in messages:
        if message.role == "user" and (words := on_one_line(text_of(message.content)[:_READ_CHARS])):
            return shortened(words)
    return ""


def clean_title(text: str) -> str:
    """What an engine wrote as a title, without what engines put around one; empty where nothing is left."""
    lines = [line for line in text.rpartition("</think>")[2].splitlines() if line.strip()]
    line = on_one_line(lines[0][:_READ_CHARS]) if lines else ""
    return shortened(_PREFIX.sub("", line.strip(_AROUND)).strip(_AROUND).rstrip(" ."))


def on_one_line(text: str) -> str:
    """Without what cannot be seen, or would turn what is seen around; empty where nothing is left."""
    words = "".join(c if c.isprintable() or c in _JOINERS else " " for c in text).split()
    return " ".join(word for word in words if word.strip(_JOINERS))


def shortened(text: str) -> str:
    """`text` itself, or as much as fits, with an ellipsis; within a word only where the words are very long."""
    if len(text) <= MAX_CHARS:
        return text
    cut = text.rfind(" ", 0, MAX_CHARS)
    kept = text[: cut if cut >= MAX_CHARS // 2 else MAX_CHARS - 1]
    return kept.rstrip(" ,;:-") + "…"
