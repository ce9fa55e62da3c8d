"""The estimate of tokens as a table."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sage_contracts.sessions import Message
from session_store.domain.memory.tokens import FRAME, PART, estimate, text_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("four", 1),
        ("hello world!", 3),
        ("日本語", 3),
        ("你好, world", 2 + 2),
        ("привет", 3),
        ("🎉", 1),
        ("é" * 8, 2),
    ],
)
def test_latin_is_four_letters_a_token_and_chinese_one(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"content": "four"}, 1),
        ({"content": None}, 0),
        ({"content": "four", "name": "anna"}, 2),
        ({"content": [{"type": "text", "text": "four"}]}, 1),
        ({"content": [{"type": "refusal", "refusal": "four"}]}, 1),
        ({"content": [{"type": "image_url", "image_url": {"url": "data:" + "x" * 9_000}}]}, PART),
        ({"content": None, "tool_calls": [{"id": "1"}]}, 3),
        ({"content": "four", "tool_call_id": "call"}, 2),
        ({"content": "four", "metadata": {"usage": "x" * 1_000}}, 1),
    ],
)
def test_a_message_costs_what_the_engine_is_told(fields: dict[str, Any], tokens: int) -> None:
    message = Message(id="m", role="user", timestamp=datetime.now(UTC), **fields)

    assert estimate(message) == FRAME + tokens
