"""
A turn of a session, as the gateway takes it: opened with what is asked, committed with what was answered.

One turn at a time is under way on a branch. Who opens one gets a `token`, a number that grows with each turn opened on
the session; a commit with another token than the branch's latest is refused, so that a late loser overwrites nothing.
A turn is held for `lease_seconds` and must be renewed within them; a turn that was not is over, and the next one goes
ahead. What it had asked stays in the session, marked `unanswered` in its metadata, and is not told to engines.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sage_contracts.call import Call
from sage_contracts.sessions import Backend, Message, NewMessage

OnConflict = Literal["queue", "reject", "fork"]
"""What to do while another turn is under way: wait for it, refuse with SessionBusy, or go on in a branch of its own."""

TurnId = Annotated[str, Meta(min_length=1, max_length=300)]

INTERRUPTED = "interrupted"
"""`metadata.finish_reason` of an answer that the client or the engine cut short."""

UNANSWERED = "unanswered"
"""`metadata.status` of what was asked in a turn that nobody committed."""


MESSAGES_A_TURN = 1_000
"""At most so many messages are asked in a turn, and at most so many are stored with it, the answer among them."""


class OpenTurn(Struct, frozen=True, kw_only=True):
    """
    `messages` are what is asked now: those of the request behind its last answer. They are stored as pending.

    `digest` is a hash of the whole request where its client named the turn (`Idempotency-Key`): the same `turn_id` with
    another one is IdempotencyKeyReused. `question` is what memory is searched for; without one, as where the results of
    tools come alone, it is what the user said last. `budget_tokens` is what the engine can still take beside `messages`
    and the request's own instructions, absent where its window is not known; `model` says whose tokenizer counts them.
    `has_instructions` says that the request brings its own: those stored are told
    then whatever the budget, and take none of it, for they are there to be compared. `wait_seconds` bounds the wait of
    `queue`; with 0 the turn is had at once or not at all, and goes ahead of nobody who waits.
    """

    turn_id: TurnId
    messages: list[NewMessage] = []
    question: str = ""
    digest: str | None = None
    on_conflict: OnConflict = "queue"
    branch: str | None = None
    """Absent: the session's head branch."""
    budget_tokens: Annotated[int, Meta(ge=0)] | None = None
    model: str | None = None
    has_instructions: bool = False
    wait_seconds: Annotated[float, Meta(ge=0)] = 60.0


class MemoryHit(Struct, frozen=True, kw_only=True):
    """Something remembered that bears on the question. `score` compares hits of one recall only."""

    id: str
    kind: Literal["turn", "fact", "relation", "summary"]
    text: str
    score: float
    message_id: str | None = None
    at: datetime | None = None


class Context(Struct, frozen=True, kw_only=True):
    """
    What the engine should be told of a conversation within the budget: its newest `messages`, oldest first, and `hits`
    of what lies further back, best first; these belong beside the question, at the tail of the prompt.

    `dropped` counts the messages that are left out, `tokens` and `hit_tokens` what the two take, as counted.
    `begins`, where the window is full, is the position of the first that is told: to be said again with the commit.
    """

    backend: Backend
    messages: list[Message]
    hits: list[MemoryHit]
    dropped: int
    tokens: int
    hit_tokens: int
    begins: Annotated[int, Meta(ge=0)] | None = None


class TurnOpened(Struct, frozen=True, kw_only=True):
    """
    `answered` is the answer of the turn of this `turn_id` where it was stored before: nothing is open then, and the
    client is to be answered with it. A turn of that id that was interrupted, and is still its branch's last one, is
    taken back and opened anew.
    """

    session_id: str
    branch: str
    turn_id: str
    token: int
    lease_seconds: float
    context: Context
    answered: Message | None = None


class HeldTurn(Struct, frozen=True, kw_only=True):
    """The turn meant by a renewal or an abandonment."""

    turn_id: TurnId
    token: int
    branch: str


class TurnRenewed(Struct, frozen=True, kw_only=True):
    lease_seconds: float


class TurnAbandoned(Struct, frozen=True, kw_only=True):
    """Of a session that began with this turn nothing is left."""

    status: Literal["abandoned", "not_open"]


class CommitTurn(Struct, frozen=True, kw_only=True):
    """
    What the exchange adds to the session, stored whole or not at all, in the place of what was pending.

    `seconds` is how long ago it was asked: all but the answer, which is the last message, have the time of then. Sent
    again it is stored once. Raises TurnLost when the branch has gone on, SessionNotFound when it was deleted.
    """

    turn_id: TurnId
    token: int
    branch: str
    messages: Annotated[list[NewMessage], Meta(min_length=1)]
    begins: Annotated[int, Meta(ge=0)] | None = None
    """As the turn's context said: what lies before it is summarised, and what falls out next."""
    seconds: Annotated[float, Meta(ge=0, le=1e9)] = 0.0


class TurnCommitted(Struct, frozen=True, kw_only=True):
    """`message_count` is that of the branch right after this turn."""

    session_id: str
    branch: str
    message_count: int
    repeated: bool = False


OPEN = Call("POST", "/internal/sessions/{session_id}/turns", OpenTurn, TurnOpened)
COMMIT = Call("POST", "/internal/sessions/{session_id}/turns/commit", CommitTurn, TurnCommitted)
RENEW = Call("POST", "/internal/sessions/{session_id}/turns/renew", HeldTurn, TurnRenewed)
ABANDON = Call("POST", "/internal/sessions/{session_id}/turns/abandon", HeldTurn, TurnAbandoned)
