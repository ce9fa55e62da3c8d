"""One suite for every registry: what the port promises."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from msgspec import structs
from redis.asyncio import Redis

from control_plane.adapters.memory_registry import MemoryRegistry
from control_plane.adapters.redis_registry import ENGINES, LEADER, SEEN, VERSION, RedisRegistry
from control_plane.domain.changes import Changes
from control_plane.domain.ports import LeaseLost, Registry
from control_plane.domain.records import Launch, Record, Sighting
from control_plane.domain.states import Event
from sage_chassis import redis_client
from sage_contracts.errors import EngineNotFound
from tests.fakes.redis_server import RedisServer


@dataclass
class Kept:
    """A registry, the versions it has told, and a way to say who leads."""

    registry: Registry
    lead: Callable[[str], Awaitable[None]]
    told: list[int] = field(default_factory=list)


@pytest.fixture(params=["memory", "redis"])
async def kept(request: pytest.FixtureRequest, redis: Redis, shared_redis: RedisServer) -> AsyncGenerator[Kept]:
    told: list[int] = []
    leader: list[str | None] = [None]

    async def tell(version: int) -> None:
        told.append(version)

    async def lead_memory(token: str) -> None:
        leader[0] = token

    async def lead_redis(token: str) -> None:
        await redis.set(LEADER, token)

    async with redis_client.connect(shared_redis.url) as client:
        if request.param == "memory":
            yield Kept(MemoryRegistry(tell, lambda: leader[0]), lead_memory, told)
        else:
            yield Kept(RedisRegistry(client, tell), lead_redis, told)


def record(engine_id: str = "e1", **fields: object) -> Record:
    known = Record(
        engine_id=engine_id,
        model_id="m",
        host="gpu",
        port=80,
        state="READY",
        source="registered",
        created_at=1.5,
        metadata={"a": {"b": [1, None, "\u2603"]}},
        launch=Launch(preset="p", node="n", extra_args=("--x",)),
    )
    return structs.replace(known, **fields)


async def added(kept: Kept, engine_id: str = "e1") -> Record:
    found = await kept.registry.swap(old=None, new=record(engine_id))
    assert found is not None
    return found


async def test_an_empty_registry_has_version_zero(kept: Kept) -> None:
    snapshot = await kept.registry.snapshot()

    assert (snapshot.version, snapshot.records, snapshot.sightings) == (0, {}, {})


async def test_a_record_is_kept_whole(kept: Kept) -> None:
    one = await added(kept)

    assert (await kept.registry.snapshot()).records == {"e1": one}
    assert structs.replace(one, tag="") == record()


async def test_every_change_raises_the_version_and_tells_it(kept: Kept) -> None:
    one = await added(kept)
    first = (await kept.registry.snapshot()).version
    two = await kept.registry.swap(old=one, new=structs.replace(one, state="ERROR"))
    second = (await kept.registry.snapshot()).version
    await kept.registry.swap(old=two, new=None)
    third = (await kept.registry.snapshot()).version

    assert 0 < first < second < third
    assert kept.told == [first, second, third]


async def test_a_change_that_comes_second_is_refused_and_changes_nothing(kept: Kept) -> None:
    one = await added(kept)
    winner = await kept.registry.swap(old=one, new=structs.replace(one, state="DRAINING"))
    before = await kept.registry.snapshot()
    loser = await kept.registry.swap(old=one, new=structs.replace(one, state="ERROR"))
    removal = await kept.registry.swap(old=one, new=None)
    addition = await kept.registry.swap(old=None, new=one)
    after = await kept.registry.snapshot()

    assert winner is not None
    assert (loser, removal, addition) == (None, None, None)
    assert before == after
    assert len(kept.told) == 2


async def test_a_record_that_is_gone_cannot_be_changed_but_removed_again(kept: Kept) -> None:
    one = await added(kept)
    await kept.registry.swap(old=one, new=None)

    assert await kept.registry.swap(old=one, new=structs.replace(one, state="ERROR")) is None
    assert await kept.registry.swap(old=one, new=None) == one
    assert (await kept.registry.snapshot()).records == {}


async def test_a_record_that_came_back_is_another(kept: Kept) -> None:
    one = await added(kept)
    await kept.registry.swap(old=one, new=None)
    await added(kept)

    assert await kept.registry.swap(old=one, new=structs.replace(one, state="ERROR")) is None


async def test_nothing_put_in_the_place_of_nothing_is_nothing(kept: Kept) -> None:
    assert await kept.registry.swap(old=None, new=None) is None
    assert kept.told == []


async def test_a_change_is_fenced_by_the_lease(kept: Kept) -> None:
    one = await added(kept)
    await kept.lead("me")
    two = await kept.registry.swap(old=one, new=structs.replace(one, state="ERROR"), fence="me")
    await kept.lead("other")

    with pytest.raises(LeaseLost):
        await kept.registry.swap(old=two, new=structs.replace(one, state="READY"), fence="me")
    assert (await kept.registry.snapshot()).records == {"e1": two}


async def test_sightings_change_no_version_and_go_with_their_engine(kept: Kept) -> None:
    one = await added(kept)
    before = await kept.registry.snapshot()
    await kept.registry.note({"e1": Sighting(last_answer=7.5, misses=2)})
    await kept.registry.note({})
    after = await kept.registry.snapshot()
    await kept.registry.swap(old=one, new=None)
    gone = await kept.registry.snapshot()

    assert before.version == after.version
    assert after.sightings == {"e1": Sighting(last_answer=7.5, misses=2)}
    assert gone.sightings == {}
    assert len(kept.told) == 2


async def test_records_come_in_the_order_of_their_ids(kept: Kept) -> None:
    for engine_id in ("c", "a", "b"):
        await added(kept, engine_id)

    assert list((await kept.registry.snapshot()).records) == ["a", "b", "c"]


async def test_changes_of_many_writers_are_all_applied(kept: Kept) -> None:
    await added(kept)
    changes = Changes(kept.registry, lambda: 0.0)

    def counted(one: Record) -> Record:
        return structs.replace(one, max_concurrent_requests=one.max_concurrent_requests + 1)

    await asyncio.gather(*(changes.change("e1", counted) for _ in range(8)))
    kept_now = (await kept.registry.snapshot()).records["e1"]

    assert kept_now.max_concurrent_requests == 256 + 8
    assert kept.told == sorted(kept.told)


async def test_an_unknown_engine_cannot_be_changed(kept: Kept) -> None:
    with pytest.raises(EngineNotFound):
        await Changes(kept.registry, lambda: 0.0).apply("nope", Event.DRAIN)


async def test_nothing_of_a_stopped_engine_changes(kept: Kept) -> None:
    await kept.registry.swap(old=None, new=record(state="STOPPED"))
    changed = await Changes(kept.registry, lambda: 0.0).apply("e1", Event.CRASHED, last_error="x")

    assert (changed.state, changed.last_error) == ("STOPPED", None)


async def test_redis_keeps_json_and_a_number_that_others_can_read(redis: Redis, shared_redis: RedisServer) -> None:
    async def tell(_: int) -> None:
        """Nobody listens."""

    async with redis_client.connect(shared_redis.url) as client:
        registry = RedisRegistry(client, tell)
        await registry.swap(old=None, new=record())
        text = await redis.hget(ENGINES, "e1")
        version = await redis.get(VERSION)

    assert isinstance(text, bytes)
    assert text.startswith(b'{"tag":"')
    assert isinstance(version, bytes)
    assert version.isdigit()


async def test_versions_grow_also_when_redis_has_lost_everything(redis: Redis, shared_redis: RedisServer) -> None:
    told: list[int] = []

    async def tell(version: int) -> None:
        told.append(version)

    async with redis_client.connect(shared_redis.url) as client:
        registry = RedisRegistry(client, tell)
        await registry.swap(old=None, new=record())
        await redis.flushall()
        while time.time() * 1000 <= told[0] + 1:  # a version is a millisecond where nothing older is known
            await asyncio.sleep(0.001)
        await registry.swap(old=None, new=record())

    assert told[0] < told[1]


async def test_an_entry_of_another_version_does_not_hide_the_others(redis: Redis, shared_redis: RedisServer) -> None:
    async def tell(_: int) -> None:
        """Nobody listens."""

    async with redis_client.connect(shared_redis.url) as client:
        registry = RedisRegistry(client, tell)
        await registry.swap(old=None, new=record())
        await redis.hset(ENGINES, "strange", '{"tag":"x","engine_id":"strange"}')
        await redis.hset(SEEN, "strange", "[]")

        assert list((await registry.snapshot()).records) == ["e1"]
