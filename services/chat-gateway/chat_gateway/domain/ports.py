"""What the gateway needs from the outside world, in its own words."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

from sage_contracts.chat import Retrieval, Usage
from sage_contracts.index import Found
from sage_contracts.turns import CommitTurn, HeldTurn, OpenTurn, TurnOpened

Operation = Literal["chat", "text_completion", "embeddings"]
Outcome = Literal["answered", "refused", "dropped", "rejected", "timeout", "oversized", "cancelled"]
Breaker = Literal["client", "engine", "store"]
TurnEnd = Literal["committed", "interrupted", "abandoned", "replayed", "lost", "deleted", "failed", "without"]
"""How a turn ended; `without` is a chat that went on without its session."""

ANSWER_BYTES = 128 * 1024 * 1024
"""Room for the vectors of 1,000 texts with 4,096 dimensions, told as JSON numbers."""


class EngineRefused(Exception):
    """The engine did not take the request: nothing was generated, another one may be asked."""


class EngineDropped(Exception):
    """The engine took the request and closed the connection before it had answered."""


@dataclass(frozen=True, slots=True)
class Target:
    """
    Where a request goes. `url` is the engine's OpenAI base, with `/v1`; `api_key` is for this address alone.

    `model` is what the engine calls its model; None where it is asked by the name in the request.
    """

    engine_id: str
    url: str
    api_key: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that came in one piece; `retry_after` is the engine's own header."""

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None


class Flow(Protocol):
    """A streamed answer whose first piece has come."""

    def pieces(self) -> AsyncIterator[bytes]:
        """
        The answer as it comes; an empty piece stands for a while of silence.

        Raises EngineDropped when the engine breaks off, IdleTimeout when it is silent for too long, and RequestTimeout
        when the answer as a whole takes too long.
        """
        ...

    async def finish(self) -> None:
        """After the last piece that matters: let the connection be used again, if that takes no time."""
        ...

    def close(self) -> None:
        """Leave the engine at once: it stops generating. Harmless when repeated."""
        ...


class Engines(Protocol):
    async def open(self, target: Target, path: str, body: bytes, *, streamed: bool) -> Whole | Flow:
        """
        Send the request and wait for the answer's first piece.

        Raises EngineRefused, EngineDropped, ConnectTimeout, FirstByteTimeout (streamed), RequestTimeout (not streamed)
        or AnswerTooLarge (in one piece). Cancelled, it leaves the engine at once.
        """
        ...


class History(Protocol):
    """Conversations, a turn at a time. All of it raises an Unavailable when it cannot be had now."""

    async def open(self, session_id: str, turn: OpenTurn) -> TurnOpened:
        """
        Take the turn, once those before it are over, and learn what was said so far.

        Raises SessionBusy, IdempotencyKeyReused, BranchNotFound, and Conflict for a turn that is over and gone.
        """
        ...

    async def commit(self, session_id: str, turn: CommitTurn) -> None:
        """Store the turn, whole and once. Raises TurnLost, and SessionNotFound when the session was deleted."""
        ...

    async def renew(self, session_id: str, turn: HeldTurn) -> None:
        """Hold the turn for another lease. Raises TurnLost and SessionNotFound."""
        ...

    async def abandon(self, session_id: str, turn: HeldTurn) -> None:
        """Give the turn back: nothing of it is kept."""
        ...


class Passages(Protocol):
    async def search(self, question: str, asked: Retrieval) -> Found:
        """What is worth quoting; raises an Unavailable when retrieval is away or slow."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of an answer when it is over. `first_seconds` is None unless it was streamed."""

    operation: Operation
    model: str
    seconds: float
    first_seconds: float | None = None
    usage: Usage | None = None


class Meter(Protocol):
    def attempted(self, outcome: Outcome) -> None: ...

    def waiting(self, model: str, change: int) -> None:
        """So many more, or fewer, requests of the model wait in line."""
        ...

    def answered(self, told: Told) -> None: ...

    def interrupted(self, by: Breaker) -> None: ...

    def citations_dropped(self, count: int) -> None: ...

    def turn(self, end: TurnEnd) -> None: ...
