"""New messages made into those that are stored: with ids, with a time, and with what counts of them."""

from collections.abc import Sequence

import msgspec

from sage_contracts.errors import InvalidRequest
from sage_contracts.sessions import Message, NewMessage
from sage_contracts.turns import INTERRUPTED, MESSAGES_A_TURN, UNANSWERED
from session_store.domain.instructions import in_force, instructs
from session_store.domain.ports import Ids
from session_store.domain.records import MICROS, NewTurn
from session_store.domain.titles import title_from
from session_store.domain.views import message_of


def stamped(turn_id: str, messages: Sequence[NewMessage], *, ids: Ids, now_us: int, seconds: float = 0.0) -> NewTurn:
    """The last is of now, what it answers of so many seconds ago. InvalidRequest when there are too many."""
    checked(messages)
    asked_us = max(0, now_us - int(seconds * MICROS))
    *asked, answer = [(message, f"msg_{ids()}") for message in messages]
    fixed_from, fixed_count = in_force(messages)
    return NewTurn(
        turn_id=turn_id,
        messages=[*(message_of(message, name, asked_us) for message, name in asked), message_of(*answer, now_us)],
        now_us=now_us,
        auto_title=title_from(messages),
        dialogs=sum(message.role == "user" for message in messages),
        instructions=sum(map(instructs, messages)),
        fixed_from=fixed_from,
        fixed_count=fixed_count,
        interrupted=messages[-1].metadata.get("finish_reason") == INTERRUPTED,
    )


def unanswered(messages: Sequence[NewMessage], *, ids: Ids, now_us: int) -> list[Message]:
    """As they are kept when nobody ever answers them."""
    checked(messages)
    marked = [
        msgspec.structs.replace(message, metadata=message.metadata | {"status": UNANSWERED}) for message in messages
    ]
    return [message_of(message, f"msg_{ids()}", now_us) for message in marked]


def checked(messages: Sequence[NewMessage]) -> None:
    if len(messages) > MESSAGES_A_TURN:
        raise InvalidRequest(f"messages: a turn has at most {MESSAGES_A_TURN}", param="messages")
