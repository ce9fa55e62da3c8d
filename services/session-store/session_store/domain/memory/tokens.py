"""How many tokens a message takes, estimated: the engine's tokenizer is not here."""

import math
import re

import msgspec

from sage_contracts.sessions import Message
from session_store.domain.texts import Content, part_text

FRAME = 4
"""What a chat template puts around each message."""

PART = 1_000
"""An image, a sound, a file: whatever its bytes, engines charge for it by size or length, within some thousands."""

_DENSE = re.compile("[\u2e80-\U0010ffff]")
_MIDDLE = re.compile("[\u0250-\u2e7f]")
_encode = msgspec.json.Encoder().encode


def estimate(message: Message) -> int:
    """Tokens of the message as the engine is told it; metadata, id and time are not told."""
    told = FRAME + _content_tokens(message.content)
    if isinstance(message.name, str):
        told += text_tokens(message.name)
    if isinstance(message.tool_calls, list):
        told += text_tokens(_encode(message.tool_calls).decode())
    if isinstance(message.tool_call_id, str):
        told += text_tokens(message.tool_call_id)
    return told


def text_tokens(text: str) -> int:
    """Four Latin letters a token, two of Greek, Cyrillic, Arabic and their like, one of Chinese, Japanese or Korean."""
    if text.isascii():
        return math.ceil(len(text) / 4)
    dense = len(_DENSE.findall(text))
    middle = len(_MIDDLE.findall(text))
    return dense + math.ceil(middle / 2 + (len(text) - dense - middle) / 4)


def _content_tokens(content: Content) -> int:
    if content is None or isinstance(content, str):
        return text_tokens(content or "")
    texts = [part_text(part) for part in content]
    return sum(PART if text is None else text_tokens(text) for text in texts)
