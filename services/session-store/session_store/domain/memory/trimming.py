"""
Which messages of a conversation fit a budget of tokens.

The unit is the dialog: a user message with all that follows it until the next one, and a system message right before
it. A dialog is told whole or not at all, so a tool call is never without its result, and the told part never begins
with an answer. The system messages a session begins with are pinned: told before all else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sage_contracts.sessions import Message
from session_store.domain.memory.tokens import estimate

PINNED_AT_MOST = 8
"""System messages at the very beginning that are kept; what comes behind them is ordinary."""

_STEERING = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class Trimmed:
    """`full` says that no older message could be told, so that nobody need look for any."""

    messages: Sequence[Message]
    tokens: int
    full: bool


def pinned(head: Sequence[Message]) -> Sequence[Message]:
    """The run of system messages that `head`, the first messages of a session, begins with."""
    count = next((index for index, message in enumerate(head) if message.role not in _STEERING), len(head))
    return head[: min(count, PINNED_AT_MOST)]


def trim(
    fixed: Sequence[Message], tail: Sequence[Message], *, budget_tokens: int, max_dialogs: int, complete: bool
) -> Trimmed:
    """
    `fixed`, then the newest whole dialogs of `tail`, never over the budget.

    A newest dialog that alone does not fit leaves `fixed` alone, and `fixed` that does not fit leaves nothing: without
    its system prompt a conversation is another one. Dialogs with a tool call that was never answered are passed over:
    engines refuse them. `complete` says that `tail` begins where `fixed` ends; if not, its first dialog may lack its
    beginning and is left out.
    """
    room = budget_tokens - sum(map(estimate, fixed))
    if room < 0:
        return Trimmed((), 0, full=True)
    groups = dialogs(tail)
    kept: list[list[Message]] = []
    too_long = False
    for index in range(len(groups) - 1, -1 if complete else 0, -1):
        group = groups[index]
        if not is_paired(group, is_newest=index == len(groups) - 1):
            continue
        needed = sum(map(estimate, group))
        too_long = needed > room
        if too_long or len(kept) == max_dialogs:
            break
        kept.append(group)
        room -= needed
    told = [*fixed, *(message for group in reversed(kept) for message in group)]
    return Trimmed(told, budget_tokens - room, full=too_long or len(kept) == max_dialogs)


def dialogs(messages: Sequence[Message]) -> list[list[Message]]:
    """`messages` cut before every message that opens a dialog; the first group may lack its opening."""
    groups: list[list[Message]] = []
    before = ""
    for message in messages:
        if not groups or _opens(message.role, before):
            groups.append([])
        groups[-1].append(message)
        before = message.role
    return groups


def is_paired(dialog: Sequence[Message], *, is_newest: bool) -> bool:
    """Whether it begins with a question and its tool calls are all answered; the newest one's may yet be."""
    if dialog[0].role not in _STEERING | {"user"}:
        return False
    waiting: list[object] = []
    for message in dialog:
        if message.role == "tool":
            called = message.tool_call_id if isinstance(message.tool_call_id, str) else None
            if called not in waiting:
                return False
            waiting.remove(called)
        elif waiting:
            return False
        elif isinstance(message.tool_calls, list):
            waiting = [call.get("id") for call in message.tool_calls]
    return is_newest or not waiting


def _opens(role: str, before: str) -> bool:
    if role == "user" or role in _STEERING:
        return before not in _STEERING
    return False
