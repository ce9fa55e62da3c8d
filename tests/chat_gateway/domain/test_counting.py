from typing import Any

import pytest

from chat_gateway.domain.counting import history_budget, tokens_of


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ({"role": "user", "content": "abcdef"}, 10),
        ({"role": "user", "content": None}, 8),
        ({"role": "user", "content": [{"type": "text", "text": "abc"}]}, 9),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:" + "x" * 99999}}]}, 1008),
        ({"role": "user", "content": "\u4f60\u597d"}, 10),
    ],
)
def test_a_message_is_estimated(message: dict[str, Any], tokens: int) -> None:
    assert tokens_of([message]) == tokens


def test_tool_calls_count_too() -> None:
    assert tokens_of([{"role": "assistant", "tool_calls": [{"function": {"arguments": "x" * 300}}]}]) > 100


@pytest.mark.parametrize(
    ("window", "incoming", "answer", "reserved", "budget"),
    [
        (None, 10, None, 0, None),
        (8192, 100, None, 0, 8192 - 100 - 1024),
        (2048, 100, None, 0, 2048 - 100 - 512),
        (8192, 100, 500, 1200, 8192 - 100 - 500 - 1200),
        (2048, 3000, None, 0, 0),
        (2048, 100, -1, 0, 2048 - 100 - 512),
    ],
)
def test_history_gets_what_is_left(
    window: int | None, incoming: int, answer: int | None, reserved: int, budget: int | None
) -> None:
    assert history_budget(window, incoming, answer, reserved) == budget
