"""
Which messages of a conversation fit a budget of tokens.

The unit is the dialog: a user message with all that follows it until the next one. A dialog is told whole or not at
all, so a tool call is never without its result, and the told part never begins with an answer. Before the dialogs
stand the instructions in force, whenever they were given; earlier ones, which they replaced, are not told.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sage_contracts.sessions import Message
from session_store.domain.instructions import instructs, is_unanswered
from session_store.domain.memory.tokens import Count, message_tokens, text_tokens


@dataclass(frozen=True, slots=True)
class Trimmed:
    """`full` says that no older message could be told, so that nobody need look for any."""

    fixed: Sequence[Message]
    dialogs: Sequence[Sequence[Message]]
    tokens: int
    full: bool

    @property
    def spoken(self) -> int:
        return sum(map(len, self.dialogs))

    @property
    def messages(self) -> list[Message]:
        return [*self.fixed, *(message for dialog in self.dialogs for message in dialog)]


def trim(
    fixed: Sequence[Message],
    tail: Sequence[Message],
    *,
    budget_tokens: int,
    max_dialogs: int,
    count: Count = text_tokens,
) -> Trimmed:
    """
    `fixed`, then the newest whole dialogs of `tail`, without a gap and never over the budget.

    A newest dialog that alone does not fit leaves `fixed` alone: what is asked now stands in the request itself.
    `fixed` that does not fit leaves nothing: without its instructions a conversation is another one.
    """
    room = budget_tokens - sum(message_tokens(message, count) for message in fixed)
    if room < 0:
        return Trimmed((), (), 0, full=True)
    kept: list[list[Message]] = []
    is_full = False
    for dialog in reversed(dialogs(tail)):
        needed = sum(message_tokens(message, count) for message in dialog)
        is_full = needed > room or len(kept) == max_dialogs
        if is_full:
            break
        kept.append(dialog)
        room -= needed
    return Trimmed(fixed, kept[::-1], budget_tokens - room, full=is_full or len(kept) == max_dialogs)


def dialogs(messages: Sequence[Message]) -> list[list[Message]]:
    """
    The dialogs in `messages`; what comes before the first user message belongs to none, nor does what was asked and
    never answered.
    """
    found: list[list[Message]] = []
    for message in messages:
        if is_unanswered(message):
            continue
        if message.role == "user":
            found.append([message])
        elif found and not instructs(message):
            found[-1].append(message)
    return found
