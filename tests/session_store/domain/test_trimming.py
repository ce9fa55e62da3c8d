"""What of a conversation fits: tables, and properties over any conversation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_contracts.sessions import Message, NewMessage, Role
from session_store.domain.instructions import in_force, instructs
from session_store.domain.memory.tokens import estimate
from session_store.domain.memory.trimming import dialogs, trim
from session_store.domain.views import message_of
from tests.session_store.parts import said, texts

ROLES: dict[str, Role] = {"s": "system", "d": "developer", "u": "user", "a": "assistant", "t": "tool"}


def talk(script: str) -> list[Message]:
    """`"u1 a1"` is a user message "u1" and an answer "a1"; each costs 5 tokens."""
    return [message_of(said(ROLES[word[0]], word), word, 0) for word in script.split()]


@pytest.mark.parametrize(
    ("script", "budget", "max_dialogs", "told"),
    [
        ("u1 a1 u2 a2", 20, 9, "u1 a1 u2 a2"),
        ("u1 a1 u2 a2", 19, 9, "u2 a2"),
        ("u1 a1 u2 a2", 9, 9, ""),
        ("u1 a1 u2 a2", 0, 9, ""),
        ("u1 a1 u2 a2 u3 a3", 99, 2, "u2 a2 u3 a3"),
        ("u1 a1 t1 a2 u2 a3", 10, 9, "u2 a3"),
        ("u1 a1 t1 a2 u2 a3", 29, 9, "u2 a3"),
        ("u1 a1 t1 a2 u2 a3", 30, 9, "u1 a1 t1 a2 u2 a3"),
        ("a0 u1 a1", 99, 9, "u1 a1"),
        ("a0 t0", 99, 9, ""),
        ("u1 u2 a2", 99, 1, "u2 a2"),
        ("u1 s1 a1 u2 a2", 99, 9, "u1 a1 u2 a2"),
        ("", 99, 9, ""),
        # A long dialog ends the told part, though an older and shorter one would fit: no gaps.
        ("u1 a1 u2 a2 a3 a4 u3 a5", 20, 9, "u3 a5"),
    ],
)
def test_the_newest_whole_dialogs_within_the_budget(script: str, budget: int, max_dialogs: int, told: str) -> None:
    trimmed = trim((), talk(script), budget_tokens=budget, max_dialogs=max_dialogs)

    assert texts(trimmed.messages) == told.split()


@pytest.mark.parametrize(
    ("budget", "told"), [(99, "s1 u1 a1 u2 a2"), (15, "s1 u2 a2"), (14, "s1"), (5, "s1"), (4, ""), (0, "")]
)
def test_instructions_come_first_and_go_last(budget: int, told: str) -> None:
    trimmed = trim(talk("s1"), talk("u1 a1 u2 a2"), budget_tokens=budget, max_dialogs=9)

    assert texts(trimmed.messages) == told.split()


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("u1 a1", (0, 0)),
        ("s1 u1", (0, 1)),
        ("s1 d1 u1", (0, 2)),
        ("s1 u1 a1 s2 s3 u2", (3, 2)),
        ("u1 s1", (1, 1)),
        ("", (0, 0)),
    ],
)
def test_the_last_instructions_that_stand_together_are_in_force(script: str, found: tuple[int, int]) -> None:
    assert in_force([said(ROLES[word[0]], word) for word in script.split()]) == found


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Any order of roles, with tool calls that are answered, not answered, or answered out of nowhere."""
    messages: list[Message] = []
    for index in range(draw(st.integers(0, 25))):
        role: Role = draw(st.sampled_from(["user", "assistant", "tool", "system", "developer"]))
        fields: dict[str, Any] = {}
        if role == "assistant" and draw(st.booleans()):
            fields["tool_calls"] = [{"id": f"call{index}", "type": "function", "function": {"name": "f"}}]
        if role == "tool":
            fields["tool_call_id"] = f"call{index - 1}"
        content = draw(st.text(max_size=40))
        messages.append(message_of(NewMessage(role=role, content=content, **fields), f"m{index}", 0))
    return messages


@given(conversations(), conversations(), st.integers(0, 400), st.integers(1, 8))
def test_whatever_is_said_the_told_part_is_whole_and_within_the_budget(
    before: list[Message], spoken: list[Message], budget: int, max_dialogs: int
) -> None:
    fixed = [message for message in before if instructs(message)]

    trimmed = trim(fixed, spoken, budget_tokens=budget, max_dialogs=max_dialogs)

    told = trimmed.messages
    assert trimmed.tokens == sum(map(estimate, told)) <= budget
    assert len(trimmed.dialogs) <= max_dialogs
    assert list(trimmed.fixed) in ([], fixed)
    rest = told[len(trimmed.fixed) :]
    assert not rest or rest[0].role == "user"
    # It is the end of what was said, without a gap.
    said_after_all = [message for message in spoken if not instructs(message)]
    assert rest == said_after_all[len(said_after_all) - len(rest) :]
    # No dialog is cut: what stands right before the told part is not the beginning of its first dialog.
    assert [message.id for message in rest] == [
        message.id for dialog in dialogs(spoken)[len(dialogs(spoken)) - len(trimmed.dialogs) :] for message in dialog
    ]


@given(conversations(), st.integers(0, 400))
def test_a_tool_call_and_its_result_are_told_together_or_not_at_all(spoken: list[Message], budget: int) -> None:
    trimmed = trim((), spoken, budget_tokens=budget, max_dialogs=8)

    told = {message.id for message in trimmed.messages}
    for dialog in dialogs(spoken):
        assert {message.id for message in dialog} <= told or not {message.id for message in dialog} & told


@given(conversations(), st.integers(0, 400), st.integers(0, 400))
def test_a_larger_budget_tells_no_less(spoken: list[Message], budget: int, more: int) -> None:
    small = trim((), spoken, budget_tokens=budget, max_dialogs=8)
    large = trim((), spoken, budget_tokens=budget + more, max_dialogs=8)

    assert large.spoken >= small.spoken
