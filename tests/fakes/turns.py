"""How session-store takes turns, in memory: one at a time on a branch, each with a token, held for a lease."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from litestar import post
from litestar.params import FromPath, JSONBody
from msgspec import structs

from sage_contracts import turns as wire
from sage_contracts.errors import (
    Conflict,
    IdempotencyKeyReused,
    ServiceUnavailable,
    SessionBusy,
    SessionNotFound,
    TurnLost,
)
from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import Message, NewMessage
from sage_contracts.turns import CommitTurn, Context, HeldTurn, MemoryHit, OpenTurn, TurnOpened

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Place = tuple[str, str]
"""A session and one of its branches."""


@dataclass(frozen=True)
class Pending:
    turn: OpenTurn
    token: int
    until: float


@dataclass(frozen=True)
class Known:
    """A turn that was committed, and how many messages its branch had then, before and after it."""

    digest: str | None
    branch: str
    answer: NewMessage
    began: int
    ended: int


class FakeTurns:
    """
    `opened`, `commits`, `renewed` and `abandoned` are what was asked; `committed` and `given_back` are set by the first
    that was done, `asked_to_wait` by the first that found a session busy. `open_gate` and `commit_gate` hold answers
    back. `lose_answers_of_commits` counts down commits that are stored, and answered as if the connection had broken;
    `refuse_commits` those that fail as if the store were away.
    """

    def __init__(self, sessions: dict[str, list[NewMessage]]) -> None:
        self._sessions = sessions
        self.branches: dict[Place, list[NewMessage]] = {}
        self.opened: list[OpenTurn] = []
        self.commits: list[CommitTurn] = []
        self.renewed: list[HeldTurn] = []
        self.abandoned: list[HeldTurn] = []
        self.committed = asyncio.Event()
        self.given_back = asyncio.Event()
        self.asked_to_wait = asyncio.Event()
        self.open_gate, self.commit_gate = asyncio.Event(), asyncio.Event()
        self.open_gate.set()
        self.commit_gate.set()
        self.lose_answers_of_commits = 0
        self.refuse_commits = 0
        self.lease_seconds = 15.0
        self.hits: list[MemoryHit] = []
        self.dropped = 0
        self.pending: dict[Place, Pending] = {}
        self._known: dict[tuple[str, str], Known] = {}
        self._latest: dict[Place, int] = {}
        self._token = 0
        self._changed = asyncio.Condition()

    def log(self, place: Place) -> list[NewMessage]:
        session_id, branch = place
        if branch == MAIN_BRANCH:
            return self._sessions.setdefault(session_id, [])
        return self.branches[place]

    async def open(self, session_id: str, turn: OpenTurn) -> TurnOpened:
        self.opened.append(turn)
        await self.open_gate.wait()
        place = (session_id, turn.branch or MAIN_BRANCH)
        deadline = _now() + turn.wait_seconds
        async with self._changed:
            while (known := self._known.get((session_id, turn.turn_id))) is None and self._is_taken(place):
                same = self.pending[place].turn.turn_id == turn.turn_id
                _check(self.pending[place].turn.digest, turn) if same else None
                if turn.on_conflict == "fork" and not same:
                    place = self._forked(place)
                    break
                if turn.on_conflict == "reject" and not same:
                    raise _busy(self.pending[place])
                await self._turned(place, deadline)
            if known is not None:
                _check(known.digest, turn)
                if known.answer.metadata.get("finish_reason") != wire.INTERRUPTED:
                    return self._told(session_id, known.branch, turn, answered=known.answer)
                if len(self.log((session_id, known.branch))) != known.ended:
                    raise Conflict("the session has gone on behind this turn")
                place = (session_id, known.branch)
                del self.log(place)[known.began :]
                del self._known[session_id, turn.turn_id]
            self._token += 1
            self._latest[place] = self._token
            self.pending[place] = Pending(turn, self._token, _now() + self.lease_seconds)
            return self._told(session_id, place[1], turn)

    async def commit(self, session_id: str, turn: CommitTurn) -> wire.TurnCommitted:
        self.commits.append(turn)
        await self.commit_gate.wait()
        if self.refuse_commits:
            self.refuse_commits -= 1
            raise ServiceUnavailable("session-store is away")
        if session_id not in self._sessions:
            raise SessionNotFound(f"no session {session_id}")
        place = (session_id, turn.branch)
        log = self.log(place)
        repeated = (session_id, turn.turn_id) in self._known
        if not repeated:
            if self._latest.get(place) != turn.token:
                raise TurnLost("the session has gone on without this turn")
            pending = self.pending.pop(place, None)
            digest = pending.turn.digest if pending else None
            began = len(log)
            log.extend(turn.messages)
            known = Known(digest, turn.branch, turn.messages[-1], began, len(log))
            self._known[session_id, turn.turn_id] = known
        await self._wake()
        self.committed.set()
        if self.lose_answers_of_commits:
            self.lose_answers_of_commits -= 1
            raise ServiceUnavailable("the answer of a stored commit was lost")
        return wire.TurnCommitted(session_id=session_id, branch=turn.branch, message_count=len(log), repeated=repeated)

    async def renew(self, session_id: str, turn: HeldTurn) -> wire.TurnRenewed:
        place = (session_id, turn.branch)
        if self._latest.get(place) != turn.token:
            raise TurnLost("the session has gone on without this turn")
        self.pending[place] = replace(self.pending[place], until=_now() + self.lease_seconds)
        self.renewed.append(turn)
        return wire.TurnRenewed(lease_seconds=self.lease_seconds)

    async def abandon(self, session_id: str, turn: HeldTurn) -> wire.TurnAbandoned:
        self.abandoned.append(turn)
        place = (session_id, turn.branch)
        if self._latest.get(place) != turn.token or self.pending.pop(place, None) is None:
            return wire.TurnAbandoned(status="not_open")
        if not self._sessions.get(session_id):
            self._sessions.pop(session_id, None)
        await self._wake()
        self.given_back.set()
        return wire.TurnAbandoned(status="abandoned")

    def _is_taken(self, place: Place) -> bool:
        """A turn whose lease ran out is over: what it had asked stays, unanswered."""
        pending = self.pending.get(place)
        if pending is None or pending.until > _now():
            return pending is not None
        asked = [structs.replace(one, metadata={"status": wire.UNANSWERED}) for one in pending.turn.messages]
        self.log(place).extend(asked)
        del self.pending[place]
        return False

    async def _turned(self, place: Place, deadline: float) -> None:
        """Return when something has changed; raises SessionBusy at the deadline."""
        left = min(deadline, self.pending[place].until) - _now()
        if deadline <= _now():
            raise _busy(self.pending[place])
        self.asked_to_wait.set()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _forked(self, place: Place) -> Place:
        fork = (place[0], f"fork-{len(self.branches) + 1}")
        self.branches[fork] = list(self.log(place))
        return fork

    def _told(self, session_id: str, branch: str, turn: OpenTurn, answered: NewMessage | None = None) -> TurnOpened:
        log = [one for one in self.log((session_id, branch)) if one.metadata.get("status") != wire.UNANSWERED]
        context = Context(
            backend="short_term", messages=told(log), hits=self.hits, dropped=self.dropped, tokens=7, hit_tokens=5
        )
        return TurnOpened(
            session_id=session_id,
            branch=branch,
            turn_id=turn.turn_id,
            token=self._token,
            lease_seconds=self.lease_seconds,
            context=context,
            answered=None if answered is None else told([answered])[0],
        )


def told(messages: Sequence[NewMessage]) -> list[Message]:
    """As they are stored."""
    return [Message(id=f"m{number}", timestamp=NOW, **structs.asdict(one)) for number, one in enumerate(messages)]


def routes(fake: FakeTurns, fail: Callable[[], None]) -> list[Any]:
    @post(wire.OPEN.route, status_code=200)
    async def open_turn(session_id: FromPath[str], data: JSONBody[OpenTurn]) -> TurnOpened:
        fail()
        return await fake.open(session_id, data)

    @post(wire.COMMIT.route, status_code=200)
    async def commit_turn(session_id: FromPath[str], data: JSONBody[CommitTurn]) -> wire.TurnCommitted:
        fail()
        return await fake.commit(session_id, data)

    @post(wire.RENEW.route, status_code=200)
    async def renew_turn(session_id: FromPath[str], data: JSONBody[HeldTurn]) -> wire.TurnRenewed:
        fail()
        return await fake.renew(session_id, data)

    @post(wire.ABANDON.route, status_code=200)
    async def abandon_turn(session_id: FromPath[str], data: JSONBody[HeldTurn]) -> wire.TurnAbandoned:
        fail()
        return await fake.abandon(session_id, data)

    return [open_turn, commit_turn, renew_turn, abandon_turn]


def _check(digest: str | None, turn: OpenTurn) -> None:
    if digest != turn.digest:
        raise IdempotencyKeyReused("the key belongs to another request")


def _busy(pending: Pending) -> SessionBusy:
    return SessionBusy(f"turn {pending.turn.turn_id} has been under way since {NOW.isoformat()}")


def _now() -> float:
    return asyncio.get_running_loop().time()
