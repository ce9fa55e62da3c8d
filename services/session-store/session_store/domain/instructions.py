"""Messages that are no part of what was said: instructions, and what was asked and never answered."""

from collections.abc import Sequence

from sage_contracts.sessions import Message, NewMessage
from sage_contracts.turns import UNANSWERED


def instructs(message: Message | NewMessage) -> bool:
    """What the engine is told to be."""
    return message.role in {"system", "developer"}


def is_unanswered(message: Message | NewMessage) -> bool:
    return message.metadata.get("status") == UNANSWERED


def in_force(messages: Sequence[NewMessage]) -> tuple[int, int]:
    """Where the last instructions that stand together begin, and how many there are; (0, 0) without any."""
    last = next((index for index in range(len(messages) - 1, -1, -1) if instructs(messages[index])), None)
    if last is None:
        return 0, 0
    first = last
    while first > 0 and instructs(messages[first - 1]):
        first -= 1
    return first, last - first + 1
