"""A session that is deleted leaves nothing, in Redis or elsewhere."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from sage_contracts.errors import ServiceUnavailable, SessionBusy
from sage_contracts.memory import MemoryItem, NewFact
from session_store.adapters.redis_erasures import RedisErasures
from session_store.adapters.redis_keys import PARTS, part
from session_store.domain.branching import Branching
from session_store.domain.erasing import Erasing
from session_store.domain.memories import Memories
from session_store.domain.ports import Further, Recalled
from session_store.domain.ranges import Ranges
from session_store.domain.records import Asked, Committed, SessionKey
from session_store.domain.sessions import Sessions
from session_store.domain.turns import Times, Turns
from tests.session_store.parts import Clock, CountedTally, exchange, key, redis_client, redis_store, said


@dataclass
class Elsewhere:
    """A memory that keeps something outside of Redis."""

    backend: wire.Backend = "vdb"
    max_dialogs: int = 20
    kept: dict[SessionKey, int] = field(default_factory=dict)
    away: bool = False

    async def recall(self, asked: Asked, further: Further) -> Recalled:
        del further
        return Recalled(asked.window.tail, 0, 0)

    async def remember(self, committed: Committed) -> None:
        self.kept[committed.key] = self.kept.get(committed.key, 0) + len(committed.messages)

    async def items(self, key: SessionKey, ranges: Ranges) -> list[MemoryItem]:
        del key, ranges
        return []

    async def forget(self, key: SessionKey, item_id: str) -> bool:
        del key, item_id
        return False

    async def erase(self, key: SessionKey) -> dict[str, int]:
        if self.away:
            raise ServiceUnavailable("rag-indexer cannot be reached")
        return {"vectors": self.kept.pop(key, 0)}

    async def put(self, key: SessionKey, facts: Sequence[NewFact]) -> list[MemoryItem]:
        del key, facts
        return []

    def notice(self) -> str | None:
        return None

    def use(self, dialog_count: int, choice: wire.MemoryChoice | None = None) -> Any:
        del dialog_count, choice

    def settings(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Scene:
    redis: Redis
    sessions: Sessions
    branching: Branching
    turns: Turns
    erasing: Erasing
    elsewhere: Elsewhere

    async def full(self, session_id: str) -> None:
        """A session with one of everything there can be."""
        for turn_id in "12":
            await self.talk(session_id, turn_id)
        await self.branching.fork("local", session_id, wire.Fork())
        await self.turns.open("local", session_id, turn_wire.OpenTurn(turn_id="open", messages=[said("user", "?")]))
        waiting = turn_wire.OpenTurn(turn_id="waits", messages=[said("user", "?")], wait_seconds=0.01)
        with pytest.raises(SessionBusy):
            await self.turns.open("local", session_id, waiting)
        await self.turns.close()
        where = key(session_id)
        await self.redis.hset(part(where, "waiting"), "main/somebody", "1 1")
        for name in ("facts", "relations", "summaries", "memory"):
            await self.redis.hset(part(where, name), mapping={"a": "1", "b": "2"})
        await self.redis.zadd(part(where, "turns"), {"of an earlier version": 1})
        self.elsewhere.kept[where] = 7

    async def talk(self, session_id: str, turn_id: str) -> None:
        opened = await self.turns.open("local", session_id, turn_wire.OpenTurn(turn_id=turn_id, digest="d"))
        turn = turn_wire.CommitTurn(turn_id=turn_id, token=opened.token, branch="main", messages=exchange(turn_id))
        await self.turns.commit("local", session_id, turn)

    async def names(self) -> set[str]:
        return {name.decode() async for name in self.redis.scan_iter("*")}


@pytest.fixture
async def scene(redis_url: str, clock: Clock) -> Any:
    async with redis_client(redis_url) as redis:
        store, tally, elsewhere = redis_store(redis), CountedTally(), Elsewhere()
        memories = Memories({"vdb": elsewhere}, "vdb", tally)
        erasing = Erasing(memories, RedisErasures(redis), needed=True)
        numbers = itertools.count()
        sessions = Sessions(
            store.sessions, memories, erasing, tally, clock=clock, ids=lambda: f"s{next(numbers)}", ttl_us=0
        )
        turns = Turns(store.turns, memories, tally, times=Times(clock), ids=lambda: f"t{next(numbers)}")
        yield Scene(redis, sessions, Branching(store.sessions, clock=clock), turns, erasing, elsewhere)


async def test_a_deleted_session_leaves_nothing_anywhere_and_says_what_there_was(scene: Scene) -> None:
    await scene.full("s1")
    parts = {name.rpartition(":")[2] for name in await scene.names() if name.startswith("sage:session:")}

    deleted = await scene.sessions.delete("local", "s1")

    assert parts == set(PARTS)
    assert deleted.removed == {
        "messages": 4,
        "branches": 2,
        "turns": 2,
        "locks": 2,
        "facts": 2,
        "relations": 2,
        "summaries": 2,
        "vectors": 7,
    }
    assert await scene.names() == {"sage:sessions:{local}:counts"}
    assert await scene.redis.hgetall("sage:sessions:{local}:counts") == {b"/total": b"0"}
    assert scene.elsewhere.kept == {}


async def test_a_cleared_session_leaves_nothing_of_what_was_said(scene: Scene) -> None:
    await scene.full("s1")

    await scene.sessions.clear("local", "s1")

    of_session = {name for name in await scene.names() if name.startswith("sage:session:")}
    assert of_session == {part(key("s1"), name) for name in ("meta", "known", "waiting")}
    assert scene.elsewhere.kept == {}


async def test_what_cannot_be_erased_now_is_erased_later(scene: Scene) -> None:
    await scene.full("s1")
    scene.elsewhere.away = True

    deleted = await scene.sessions.delete("local", "s1")
    await scene.erasing.sweep()
    owed = await scene.redis.smembers("sage:erasing")
    scene.elsewhere.away = False
    await scene.erasing.sweep()

    assert "vectors" not in deleted.removed
    assert owed == {b"local/s1"}
    assert scene.elsewhere.kept == {}
    assert await scene.names() == {"sage:sessions:{local}:counts"}


async def test_what_is_cleaned_up_leaves_nothing_in_redis(scene: Scene, clock: Clock) -> None:
    for name in ("s1", "s2"):
        await scene.full(name)
    clock.now += 3_600

    cleaned = await scene.sessions.clean_up("local", wire.CleanupQuery(max_age_minutes=30))

    assert cleaned.removed_sessions == 2
    assert await scene.names() == {"sage:sessions:{local}:counts"}
