"""How many tokens a message takes: by the tokenizer of its model where that is here, else estimated."""

import math
import re
from collections.abc import Callable

import msgspec

from sage_contracts.sessions import Message
from session_store.domain.texts import Content, part_text

FRAME = 4
"""What a chat template puts around each message."""

PART = 1_000
"""An image, a sound, a file: whatever its bytes, engines charge for it by size or length, within some thousands."""

Count = Callable[[str], int]
"""Tokens of a text."""

_DENSE = re.compile("[\u2e80-\U0010ffff]")
_MIDDLE = re.compile("[\u0250-\u2e7f]")
_encode = msgspec.json.Encoder().encode


def message_tokens(message: Message, count: Count) -> int:
    """Tokens of the message as the engine is told it; metadata, id and time are not told."""
    told = FRAME + _content_tokens(message.content, count)
    if isinstance(message.name, str):
        told += count(message.name)
    if isinstance(message.tool_calls, list):
        told += count(_encode(message.tool_calls).decode())
    if isinstance(message.tool_call_id, str):
        told += count(message.tool_call_id)
    return told


def estimate(message: Message) -> int:
    """Where its engine's tokenizer is not here."""
    return message_tokens(message, text_tokens)


def text_tokens(text: str) -> int:
    """Four Latin letters a token, two of Greek, Cyrillic, Arabic and their like, one of Chinese, Japanese or Korean."""
    if text.isascii():
        return math.ceil(len(text) / 4)
    dense = len(_DENSE.findall(text))
    middle = len(_MIDDLE.findall(text))
    return dense + math.ceil(middle / 2 + (len(text) - dense - middle) / 4)


def _content_tokens(content: Content, count: Count) -> int:
    if content is None or isinstance(content, str):
        return count(content or "")
    texts = [part_text(part) for part in content]
    return sum(PART if text is None else count(text) for text in texts)
