"""What the session-store's tests are made of: a clock, ids, messages, a whole service on either adapter."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from redis.asyncio import Redis

from sage_chassis.health import Health
from sage_chassis.redis_client import connect
from sage_chassis.redis_commands import Client
from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from session_store.adapters.memory_erasures import MemoryErasures
from session_store.adapters.memory_sessions import MemorySessions
from session_store.adapters.memory_turns import MemoryTurns
from session_store.adapters.redis_sessions import RedisSessions
from session_store.adapters.redis_turns import RedisTurns
from session_store.app import Parts, create_app
from session_store.domain.branching import Branching
from session_store.domain.erasing import Erasing
from session_store.domain.memories import Memories
from session_store.domain.memory.short_term import ShortTerm
from session_store.domain.naming import Naming
from session_store.domain.openings import Answered, Busy, Held, Opened, Opening, Stored
from session_store.domain.ports import StoredSessions, StoredTurns
from session_store.domain.records import MICROS, NewTurn, Outcome, RemovalReason, SessionKey
from session_store.domain.remembering import Remembering
from session_store.domain.sessions import Sessions
from session_store.domain.transfers.transfers import Transfers
from session_store.domain.turns import Times, Turns
from session_store.domain.views import message_of
from tests.fakes.cluster import serve

NOON = 1_800_000_000
"""When the tests' clock begins, in seconds."""


@dataclass
class Clock:
    """Time that moves when told."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now

    @property
    def us(self) -> int:
        return int(self.now * MICROS)


@dataclass
class CountedTally:
    turns: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)

    def turn(self, outcome: Outcome) -> None:
        self.turns[outcome] += 1

    def context(self, *, kept: int, dropped: int) -> None:
        self.told.update(kept=kept, dropped=dropped)

    def removed(self, reason: RemovalReason, count: int = 1) -> None:
        self.gone[reason] += count


@dataclass(frozen=True, slots=True)
class Store:
    """One adapter, both of its halves."""

    sessions: StoredSessions
    turns: StoredTurns


@dataclass(frozen=True, slots=True)
class Desk:
    """The domain over one adapter, and what it was given."""

    sessions: Sessions
    branching: Branching
    turns: Turns
    remembering: Remembering
    transfers: Transfers
    store: Store
    clock: Clock
    tally: CountedTally

    async def told(
        self, session_id: str, turn_id: str, messages: list[wire.NewMessage], *, owner: str = "local"
    ) -> turn_wire.TurnCommitted | None:
        """A whole turn, as a gateway takes it; None when it was answered before."""
        asked = turn_wire.OpenTurn(turn_id=turn_id, messages=messages[:1])
        opened = await self.turns.open(owner, session_id, asked)
        if opened.answered is not None:
            return None
        turn = turn_wire.CommitTurn(turn_id=turn_id, token=opened.token, branch=opened.branch, messages=messages)
        return await self.turns.commit(owner, session_id, turn)

    async def context(self, session_id: str, budget: int | None = None, *, owner: str = "local") -> turn_wire.Context:
        """What an engine would be told now."""
        asked = turn_wire.OpenTurn(turn_id="a look", budget_tokens=budget)
        opened = await self.turns.open(owner, session_id, asked)
        held = turn_wire.HeldTurn(turn_id="a look", token=opened.token, branch=opened.branch)
        await self.turns.abandon(owner, session_id, held)
        return opened.context

    def served(self) -> AbstractAsyncContextManager[str]:
        """A whole service on a socket; yields its URL."""
        parts = Parts(
            Health("session-store"), self.sessions, self.branching, self.turns, self.remembering, self.transfers
        )
        return serve(create_app(nullcontext(parts)))


def memory_store(clock: Clock) -> Store:
    sessions = MemorySessions(clock=clock)
    return Store(sessions, MemoryTurns(sessions))


def redis_store(redis: Client, *, ttl_ms: int = 0) -> Store:
    return Store(RedisSessions(redis, ttl_ms=ttl_ms), RedisTurns(redis, ttl_ms=ttl_ms))


_desks = itertools.count()
_openers = itertools.count()


def desk_over(
    store: Store,
    clock: Clock | None = None,
    *,
    ttl_seconds: float = 0,
    max_dialogs: int = 20,
    budget_tokens: int = 4_096,
    lease_seconds: float = 15.0,
    naming: Naming | None = None,
) -> Desk:
    clock, tally = clock or Clock(), CountedTally()
    numbers, place = itertools.count(), next(_desks)
    memory = ShortTerm(max_dialogs=max_dialogs, budget_tokens=budget_tokens)
    memories = Memories({"short_term": memory}, "short_term", tally)
    sessions = Sessions(
        store.sessions,
        memories,
        Erasing(memories, MemoryErasures(), needed=False),
        tally,
        clock=clock,
        ids=lambda: f"{place}-{next(numbers)}",
        ttl_us=int(ttl_seconds * MICROS),
    )
    branching = Branching(store.sessions, clock=clock)
    turns = Turns(
        store.turns,
        memories,
        tally,
        times=Times(clock, lease_seconds),
        ids=lambda: f"{place}-t{next(numbers)}",
        naming=naming,
    )
    transfers = Transfers(sessions, memories, clock=clock, ids=lambda: f"{place}-i{next(numbers)}")
    remembering = Remembering(memories, sessions)
    return Desk(sessions, branching, turns, remembering, transfers, store, clock, tally)


@asynccontextmanager
async def redis_client(url: str, **options: int) -> AsyncGenerator[Redis]:
    client = connect(url, **options)
    assert isinstance(client, Redis)
    try:
        yield client
    finally:
        await client.aclose()


def said(role: wire.Role, content: str = "hello", **fields: object) -> wire.NewMessage:
    return wire.NewMessage(role=role, content=content, **fields)  # type: ignore[arg-type]


def exchange(question: str, answer: str = "an answer") -> list[wire.NewMessage]:
    return [said("user", question), said("assistant", answer)]


def turn_of(turn_id: str, *contents: str, now_us: int = NOON * MICROS, title: str = "") -> NewTurn:
    """A user message for each content."""
    messages = [message_of(said("user", text), f"{turn_id}-{index}", now_us) for index, text in enumerate(contents)]
    return NewTurn(turn_id=turn_id, messages=messages, now_us=now_us, auto_title=title, dialogs=len(messages))


async def append(store: Store, session: SessionKey, turn: NewTurn) -> Stored:
    """
    The whole turn, behind whatever is under way; sent again it is stored once.

    It is two activities: the second one is a microsecond later, at least.
    """
    opening = Opening(
        turn_id=turn.turn_id,
        opener=f"opener-{next(_openers)}",
        messages=(),
        now_us=turn.now_us,
        lease_us=15 * MICROS,
        newest=1,
    )
    while True:
        opened = await store.turns.open(session, opening)
        if not isinstance(opened, Busy):
            assert isinstance(opened, Opened | Answered), opened
            held = Held(turn.turn_id, opened.token if isinstance(opened, Opened) else 0, "main")
            if isinstance(stored := await store.turns.commit(session, held, turn), Stored):
                return stored
        await asyncio.sleep(0.01)


def texts(messages: Sequence[wire.Message]) -> list[object]:
    return [message.content for message in messages]


def key(session_id: str = "s1", owner: str = "local") -> SessionKey:
    return SessionKey(owner, session_id)
