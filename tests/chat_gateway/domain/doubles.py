"""Ports of the gateway that do as a test tells them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from chat_gateway.domain.ports import (
    Breaker,
    EngineDropped,
    Engines,
    Flow,
    History,
    Meter,
    Outcome,
    Passages,
    Target,
    Told,
    Whole,
)
from sage_contracts.chat import Retrieval
from sage_contracts.index import Found
from sage_contracts.sessions import Message, SessionContext, Turn


class ScriptedFlow(Flow):
    """Yields the pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces
        self.closed = False
        self.finished = False

    async def pieces(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = True


class ScriptedEngines(Engines):
    """Answers each engine's request with what is scripted for its id; an exception is raised."""

    def __init__(self, **answers: Whole | Flow | BaseException) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.bodies: list[bytes] = []

    async def open(self, target: Target, path: str, body: bytes, *, streamed: bool) -> Whole | Flow:
        self.asked.append(target.engine_id)
        self.bodies.append(body)
        answer = self._answers[target.engine_id]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class CountingMeter(Meter):
    attempts: list[Outcome] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    broken: list[Breaker] = field(default_factory=list)
    dropped: int = 0
    waits: int = 0

    def attempted(self, outcome: Outcome) -> None:
        self.attempts.append(outcome)

    def waiting(self, model: str, change: int) -> None:
        self.waits += change

    def answered(self, told: Told) -> None:
        self.told.append(told)

    def interrupted(self, by: Breaker) -> None:
        self.broken.append(by)

    def citations_dropped(self, count: int) -> None:
        self.dropped += count


class MemoryHistory(History):
    """`failing` is raised by both; commits wait for `gate`."""

    def __init__(self, messages: Sequence[Message] = (), failing: Exception | None = None) -> None:
        self._messages = messages
        self.failing = failing
        self.turns: list[Turn] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def context(self, session_id: str, budget_tokens: int | None) -> SessionContext:
        if self.failing:
            raise self.failing
        return SessionContext(session_id=session_id, messages=list(self._messages), dropped=0, tokens=0)

    async def commit(self, session_id: str, turn: Turn) -> None:
        await self.gate.wait()
        if self.failing:
            raise self.failing
        self.turns.append(turn)


class ScriptedPassages(Passages):
    def __init__(self, found: Found | Exception) -> None:
        self._found = found
        self.asked: list[tuple[str, Retrieval]] = []

    async def search(self, question: str, asked: Retrieval) -> Found:
        self.asked.append((question, asked))
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


DROPPED = EngineDropped("ServerDisconnectedError")
