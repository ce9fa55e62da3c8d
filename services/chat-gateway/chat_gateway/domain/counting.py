"""How many tokens a prompt will take, before anybody has counted: an estimate that is rather too high."""

from collections.abc import Iterable
from typing import Any

_BYTES_A_TOKEN = 3
_A_MESSAGE = 8
_AN_IMAGE = 1000

DEFAULT_ANSWER_TOKENS = 1024
"""What is kept free for an answer whose length the client left open, where the window is large enough."""


def tokens_of_text(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


def tokens_of(messages: Iterable[dict[str, Any]]) -> int:
    return sum(_A_MESSAGE + _tokens_of_content(one.get("content")) + _calls(one) for one in messages)


def history_budget(window: int | None, incoming: int, answer: int | None, reserved: int) -> int | None:
    """
    What is left of an engine's window for the history; None where the window is not known.

    An `answer` of no length, such as the -1 of llama.cpp, leaves it open.
    """
    if window is None:
        return None
    kept_free = answer if answer is not None and answer > 0 else min(DEFAULT_ANSWER_TOKENS, window // 4)
    return max(0, window - incoming - kept_free - reserved)


def _calls(message: dict[str, Any]) -> int:
    calls = message.get("tool_calls")
    return tokens_of_text(str(calls)) if calls else 0


def _tokens_of_content(content: object) -> int:
    match content:
        case str():
            return tokens_of_text(content)
        case list():
            return sum(_tokens_of_part(part) for part in content)
        case _:
            return 0


def _tokens_of_part(part: object) -> int:
    match part:
        case {"text": str(text)}:
            return tokens_of_text(text)
        case _:
            return _AN_IMAGE
