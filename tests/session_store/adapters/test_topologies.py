"""The promises of sessions and turns, kept on a cluster and behind Sentinels as on one server."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from redis.crc import key_slot

from sage_chassis import redis_client
from sage_contracts import sessions as wire
from sage_contracts.errors import StoreUnavailable
from session_store.adapters.redis_durability import RedisDurability
from session_store.adapters.redis_keys import part
from tests.fakes.redis_server import (
    AWAY_SECONDS,
    RedisCluster,
    Sentinels,
    redis_cluster,
    redis_sentinels,
)
from tests.session_store.adapters import test_stored_sessions, test_stored_turns
from tests.session_store.parts import Clock, Desk, Store, append, desk_over, exchange, key, redis_store, turn_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with redis_cluster() as found:
        yield found


@pytest.fixture(scope="module")
def sentinels() -> Iterator[Sentinels]:
    with redis_sentinels() as found:
        yield found


@pytest.fixture
async def place(cluster: RedisCluster) -> AsyncIterator[Store]:
    """An empty store. Behind Sentinels is a server like any other: what is its own is tested by itself."""
    cluster.empty()
    client = redis_client.connect(cluster.url)
    yield redis_store(client)
    await client.aclose()


def suites_of(*suites: ModuleType) -> dict[str, Callable[..., Any]]:
    return {
        f"{name}_{suite.__name__.rpartition('_')[2]}": test
        for suite in suites
        for name, test in vars(suite).items()
        if name.startswith("test_")
    }


globals().update(suites_of(test_stored_sessions, test_stored_turns))


def turn(number: int) -> tuple[str, list[wire.NewMessage]]:
    return f"t{number}", exchange(f"question {number}")


async def test_sessions_spread_over_the_cluster_are_listed_searched_and_removed_together(place: Store) -> None:
    desk = desk_over(place)
    for number in range(30):
        await desk.told(f"s{number}", *turn(number))
        desk.clock.now += 1
    listed = await desk.sessions.page("local", wire.ListQuery(limit=20))
    found = await desk.sessions.page("local", wire.ListQuery(q="question 7"))
    removed = await desk.sessions.clean_up("local", wire.CleanupQuery(max_age_minutes=0))

    assert [one.id for one in listed.sessions] == [f"s{number}" for number in range(29, 9, -1)]
    assert [one.id for one in found.sessions] == ["s7"]
    assert (removed.removed_sessions, await desk.sessions.stats("local")) == (
        30,
        wire.Stats(total_sessions=0, total_messages=0),
    )


async def test_every_node_that_takes_writes_is_asked_how_durable_it_is(cluster: RedisCluster) -> None:
    client = redis_client.connect(cluster.url)
    durability = RedisDurability(client)
    good = await durability.check()
    with cluster.servers[1].client() as server:
        server.config_set("maxmemory-policy", "allkeys-lru")
        bad = await durability.check()
        server.config_set("maxmemory-policy", "noeviction")
    await client.aclose()

    assert good.ok
    assert not bad.ok
    assert (bad.detail or "").startswith("appendonly is yes, maxmemory-policy is allkeys-lru")


async def test_a_node_that_hangs_takes_its_sessions_away_for_a_while_and_no_others(cluster: RedisCluster) -> None:
    """Whoever asks for one of its sessions knows within two seconds; nothing that was acknowledged is lost."""
    cluster.empty()
    client = redis_client.connect(cluster.url)
    desk = desk_over(redis_store(client))
    names = [f"s{number}" for number in range(24)]
    for name in names:
        await desk.told(name, *turn(1))
    hung = cluster.of_slot(key_slot(b"local"))
    hung.signal(signal.SIGSTOP)
    try:
        outcomes = dict(zip(names, await asyncio.gather(*(read(desk, name) for name in names)), strict=True))
    finally:
        hung.signal(signal.SIGCONT)

    away = {name for name in names if cluster.of_slot(key_slot(part(key(name), "meta").encode())) is hung}
    assert {name for name, (told, _) in outcomes.items() if not told} == away
    assert max(seconds for _, seconds in outcomes.values()) < AWAY_SECONDS
    async with asyncio.timeout(30):
        while not all([(await read(desk, name))[0] for name in names]):
            await asyncio.sleep(0.05)
    await client.aclose()


async def test_a_cancelled_call_on_a_cluster_hands_its_answer_to_nobody(cluster: RedisCluster) -> None:
    cluster.empty()
    client = redis_client.connect(cluster.url)
    store = redis_store(client)
    owners = [f"owner{number}" for number in range(10)]
    for owner in owners:
        await append(store, key(owner=owner), turn_of("1", f"{owner} said this"))

    async def right(owner: str) -> bool:
        found = await store.sessions.read(key(owner=owner))
        return found is not None and [one.content for one in found.messages] == [f"{owner} said this"]

    finished = 0
    for number in range(40):
        tasks = [asyncio.create_task(right(owner)) for owner in owners for _ in range(2)]
        await asyncio.sleep(0.0005 * (number % 8))
        for task in tasks[number % 2 :: 2]:
            task.cancel()
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            assert answer is True or isinstance(answer, asyncio.CancelledError)
            finished += answer is True
    await client.aclose()

    assert finished > 300


async def test_a_turn_acknowledged_behind_sentinels_is_there_after_the_failover(sentinels: Sentinels) -> None:
    sentinels.empty()
    client = redis_client.connect(sentinels.url)
    desk = desk_over(redis_store(client), Clock())
    await desk.told("s1", *turn(0))
    with sentinels.master.client() as server:
        server.wait(1, 1_000)
    sentinels.master.kill()

    stored = 0
    async with asyncio.timeout(60):
        while stored < 5:
            try:
                await desk.told("s1", *turn(stored + 1))
            except StoreUnavailable:
                continue
            stored += 1
    found = await desk.sessions.read("local", "s1")
    await client.aclose()

    assert [one.content for one in found.messages[::2]] == [f"question {number}" for number in range(6)]


async def read(desk: Desk, name: str) -> tuple[bool, float]:
    began = time.monotonic()
    try:
        found = await desk.sessions.read("local", name)
    except StoreUnavailable:
        return False, time.monotonic() - began
    return len(found.messages) == 2, time.monotonic() - began
