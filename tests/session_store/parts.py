"""What the session-store's tests are made of: a clock, ids, messages, a whole service on either adapter."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from redis.asyncio import Redis

from sage_chassis import background
from sage_chassis.health import Health
from sage_chassis.redis_client import connect
from sage_chassis.redis_commands import Client
from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from sage_contracts.errors import ServiceUnavailable
from sage_contracts.recollections import Recalled, Recollection
from session_store.adapters.memory_erasures import MemoryErasures
from session_store.adapters.memory_sessions import MemorySessions
from session_store.adapters.memory_shelves import MemoryShelves
from session_store.adapters.memory_turns import MemoryTurns
from session_store.adapters.redis_index import RedisIndex
from session_store.adapters.redis_sessions import RedisSessions
from session_store.adapters.redis_shelves import RedisShelves
from session_store.adapters.redis_turns import RedisTurns
from session_store.adapters.tokenizer_files import TokenizerFiles
from session_store.app import Parts, create_app
from session_store.domain.branching import Branching
from session_store.domain.erasing import Erasing
from session_store.domain.memories import Memories
from session_store.domain.memory.choosing import memories_over
from session_store.domain.memory.chores import Chores
from session_store.domain.memory.shelves import Shelves
from session_store.domain.memory.vectors import Recollected
from session_store.domain.memory.window import NewestDialogs
from session_store.domain.memory.words import likeness, words
from session_store.domain.naming import Naming
from session_store.domain.openings import Answered, Busy, Held, Opened, Opening, Stored
from session_store.domain.ports import MemoryWork, OwedErasures, Scribe, StoredSessions, StoredTurns, WorkOutcome
from session_store.domain.ranges import Ranges, holds
from session_store.domain.records import MICROS, NewTurn, Outcome, RemovalReason, SessionKey
from session_store.domain.remembering import Remembering
from session_store.domain.sessions import Sessions
from session_store.domain.transfers.transfers import Transfers
from session_store.domain.turns import Times, Turns
from session_store.domain.views import message_of
from tests.fakes.apps import served

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
    works: Counter[str] = field(default_factory=Counter)

    def turn(self, outcome: Outcome) -> None:
        self.turns[outcome] += 1

    def context(self, *, kept: int, dropped: int) -> None:
        self.told.update(kept=kept, dropped=dropped)

    def removed(self, reason: RemovalReason, count: int = 1) -> None:
        self.gone[reason] += count

    def memory(self, work: MemoryWork, outcome: WorkOutcome) -> None:
        self.works[f"{work} {outcome}"] += 1


@dataclass
class ListedRecollections:
    """A rag-indexer of a few lines: what shares the most words with the question comes first."""

    kept: dict[SessionKey, dict[str, Recollection]] = field(default_factory=dict)
    away: bool = False

    async def remember(self, key: SessionKey, items: Sequence[Recollection]) -> None:
        self._reached()
        self.kept.setdefault(key, {}).update({item.id: item for item in items})

    async def recall(self, key: SessionKey, question: str, *, within: Ranges, top_k: int) -> list[Recalled]:
        self._reached()
        items = [item for item in self.kept.get(key, {}).values() if holds(within, item.position)]
        scores = likeness(words(question), [words(item.text) for item in items])
        found = [
            Recalled(id=item.id, text=item.text, at=item.at, position=item.position, score=score)
            for item, score in zip(items, scores, strict=True)
        ]
        return sorted(found, key=lambda one: -one.score)[:top_k]

    async def forget(self, key: SessionKey, ids: Sequence[str] | None, *, keep: Sequence[str] = ()) -> int:
        self._reached()
        items = self.kept.get(key, {})
        gone = [name for name in items if (ids is None or name in ids) and name not in keep]
        for name in gone:
            del items[name]
        return len(gone)

    def _reached(self) -> None:
        if self.away:
            raise ServiceUnavailable("rag-indexer cannot be reached")


@dataclass
class ListedTenants:
    keys: set[SessionKey] = field(default_factory=set)

    async def add(self, key: SessionKey) -> None:
        self.keys.add(key)

    async def has(self, key: SessionKey) -> bool:
        return key in self.keys

    async def remove(self, key: SessionKey) -> None:
        self.keys.discard(key)

    async def some(self, count: int) -> list[SessionKey]:
        return list(self.keys)[:count]


@dataclass(frozen=True, slots=True)
class Store:
    """One adapter, all of its parts."""

    sessions: StoredSessions
    turns: StoredTurns
    shelves: Shelves


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
    memories: Memories
    chores: Chores
    erasing: Erasing

    async def remembered(self) -> None:
        """Do now what is done in the background, until nothing is left to do."""
        async with background.running(self.memories.run, self.chores.run):
            await self.memories.idle()
            await self.chores.idle()

    async def told(
        self, session_id: str, turn_id: str, messages: list[wire.NewMessage], *, owner: str = "local"
    ) -> turn_wire.TurnCommitted | None:
        """A whole turn, as a gateway takes it; None when it was answered before."""
        asked = turn_wire.OpenTurn(turn_id=turn_id, messages=messages[:1])
        opened = await self.turns.open(owner, session_id, asked)
        if opened.answered is not None:
            return None
        turn = turn_wire.CommitTurn(
            turn_id=turn_id,
            token=opened.token,
            branch=opened.branch,
            messages=messages,
            begins=opened.context.begins,
        )
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
        return served(create_app, lambda _: nullcontext(parts))


def memory_store(clock: Clock) -> Store:
    sessions = MemorySessions(clock=clock)
    return Store(sessions, MemoryTurns(sessions), MemoryShelves(sessions))


def redis_store(redis: Client, *, ttl_ms: int = 0) -> Store:
    index = RedisIndex(redis)
    return Store(
        RedisSessions(redis, index, ttl_ms=ttl_ms), RedisTurns(redis, index, ttl_ms=ttl_ms), RedisShelves(redis)
    )


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
    backend: wire.Backend = "short_term",
    recollected: Recollected | None = None,
    scribe: Scribe | None = None,
    owed: OwedErasures | None = None,
    naming: Naming | None = None,
) -> Desk:
    clock, tally = clock or Clock(), CountedTally()
    numbers, place = itertools.count(), next(_desks)
    window = NewestDialogs(max_dialogs=max_dialogs, budget_tokens=budget_tokens, tokenizers=TokenizerFiles({}))
    made = memories_over(
        window,
        store.shelves,
        store.turns,
        recollected or ListedRecollections(),
        ListedTenants(),
        tally=tally,
        clock=clock,
        scribe=scribe,
    )
    memories = Memories(made.memories, backend, tally)
    erasing = Erasing(memories, owed or MemoryErasures(), needed=True)
    sessions = Sessions(
        store.sessions,
        memories,
        erasing,
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
    transfers = Transfers(sessions, memories, store.shelves, clock=clock, ids=lambda: f"{place}-i{next(numbers)}")
    remembering = Remembering(memories, sessions, store.sessions, store.shelves)
    return Desk(sessions, branching, turns, remembering, transfers, store, clock, tally, memories, made.chores, erasing)


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


async def append(store: Store, session: SessionKey, turn: NewTurn, *, now: Callable[[], int] | None = None) -> Stored:
    """
    The whole turn, behind whatever is under way; sent again it is stored once.

    It is two activities: the second one is a microsecond later, at least. `now`, absent the turn's own time, is asked
    at each try.
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
        opened = await store.turns.open(session, opening if now is None else opening.at(now()))
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
