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
    TurnEnd,
    Whole,
)
from sage_contracts.chat import Retrieval
from sage_contracts.index import Found
from sage_contracts.sessions import Message
from sage_contracts.turns import CommitTurn, Context, HeldTurn, OpenTurn, TurnOpened


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
    ends: list[TurnEnd] = field(default_factory=list)

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

    def turn(self, end: TurnEnd) -> None:
        self.ends.append(end)


class MemoryHistory(History):
    """`failing` is raised by all of it, `refusing` by commits; openings wait for `open_gate`, commits for `gate`."""

    def __init__(self, messages: Sequence[Message] = (), failing: Exception | None = None) -> None:
        self._messages = messages
        self.failing = failing
        self.refusing: Exception | None = None
        self.opened: list[OpenTurn] = []
        self.turns: list[CommitTurn] = []
        self.renewed: list[HeldTurn] = []
        self.abandoned: list[HeldTurn] = []
        self.answered: Message | None = None
        self.gate, self.open_gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.open_gate.set()

    async def open(self, session_id: str, turn: OpenTurn) -> TurnOpened:
        self.opened.append(turn)
        await self.open_gate.wait()
        self._fail()
        context = Context(
            backend="short_term", messages=list(self._messages), hits=[], dropped=0, tokens=0, hit_tokens=0, begins=4
        )
        return TurnOpened(
            session_id=session_id,
            branch=turn.branch or "main",
            turn_id=turn.turn_id,
            token=7,
            lease_seconds=0.03,
            context=context,
            answered=self.answered,
        )

    async def commit(self, session_id: str, turn: CommitTurn) -> None:
        await self.gate.wait()
        self._fail()
        if self.refusing:
            raise self.refusing
        self.turns.append(turn)

    async def renew(self, session_id: str, turn: HeldTurn) -> None:
        self.renewed.append(turn)
        self._fail()

    async def abandon(self, session_id: str, turn: HeldTurn) -> None:
        self.abandoned.append(turn)
        self._fail()

    def _fail(self) -> None:
        if self.failing:
            raise self.failing


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
