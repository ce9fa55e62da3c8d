"""The load as other services read it."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from chat_gateway.adapters.redis_load import EXPIRES_SECONDS, REFRESH_SECONDS, RedisLoad
from chat_gateway.domain.loads import Loads
from sage_chassis import redis_client
from sage_contracts.names import LOAD_INDEX, LOAD_KEY
from tests.fakes.cluster import free_port
from tests.fakes.redis_server import RedisServer


class Scene:
    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.now = 0.0
        self.loads = Loads()
        self.load = RedisLoad(redis, "g1", self.loads, clock=lambda: self.now)

    async def told(self) -> dict[Any, Any]:
        return dict(await self.redis.hgetall(LOAD_KEY + "g1"))


@pytest.fixture
async def scene(shared_redis: RedisServer) -> AsyncIterator[Scene]:
    redis = redis_client.connect(shared_redis.url)
    assert isinstance(redis, Redis)
    await redis.delete(LOAD_KEY + "g1")
    yield Scene(redis)
    await redis.delete(LOAD_KEY + "g1", LOAD_KEY + "g2")
    await redis.aclose()


async def test_requests_in_flight_are_told_with_an_expiry(scene: Scene) -> None:
    for engine in ("a", "a", "b"):
        scene.loads.take(engine)
    await scene.load.report()

    assert await scene.told() == {b"a": b"2", b"b": b"1"}
    assert 0 < await scene.redis.ttl(LOAD_KEY + "g1") <= EXPIRES_SECONDS


async def test_an_engine_without_requests_is_told_no_more(scene: Scene) -> None:
    free = scene.loads.take("a")
    scene.loads.take("b")
    await scene.load.report()
    free()
    await scene.load.report()

    assert await scene.told() == {b"b": b"1"}


async def test_nothing_in_flight_is_nothing_told(scene: Scene) -> None:
    free = scene.loads.take("a")
    await scene.load.report()
    free()
    await scene.load.report()

    assert await scene.told() == {}


async def test_what_has_not_changed_is_written_only_to_keep_it(scene: Scene) -> None:
    scene.loads.take("a")
    await scene.load.report()
    await scene.redis.delete(LOAD_KEY + "g1")
    await scene.load.report()
    unwritten = await scene.told()
    scene.now = REFRESH_SECONDS
    await scene.load.report()

    assert (unwritten, await scene.told()) == ({}, {b"a": b"1"})


async def test_a_gateway_that_stops_counts_no_more(scene: Scene) -> None:
    scene.loads.take("a")
    await scene.load.report()
    await scene.load.withdraw()

    assert await scene.told() == {}


async def test_a_redis_that_is_away_is_no_reason_to_fail() -> None:
    redis = redis_client.connect(f"redis://127.0.0.1:{free_port()}/0")
    loads = Loads()
    loads.take("a")
    load = RedisLoad(redis, "g1", loads)
    await load.report()
    await load.withdraw()
    await redis.aclose()

    assert loads.own() == {"a": 1}


async def test_a_gateway_is_found_by_what_reads_the_load_and_not_after_it_withdrew(scene: Scene) -> None:
    scene.loads.take("a")
    await scene.load.report()
    listed = await scene.redis.zscore(LOAD_INDEX, "g1")
    await scene.load.withdraw()

    assert listed == pytest.approx(time.time(), abs=100)
    assert await scene.redis.zscore(LOAD_INDEX, "g1") is None


async def test_the_other_gateways_requests_are_heard_and_its_own_not_twice(scene: Scene) -> None:
    other = RedisLoad(scene.redis, "g2", others_loads := Loads())
    for engine in ("a", "a", "b"):
        others_loads.take(engine)
    scene.loads.take("a")
    await other.exchange()
    await scene.load.exchange()
    heard = [scene.loads.of("a"), scene.loads.of("b")]
    await other.withdraw()
    await scene.load.exchange()

    assert heard == [3, 1]
    assert [scene.loads.of("a"), scene.loads.of("b")] == [1, 0]


async def test_while_redis_is_away_the_own_counts_are_what_there_is() -> None:
    redis = redis_client.connect(f"redis://127.0.0.1:{free_port()}/0")
    loads = Loads()
    loads.take("a")
    loads.heard({"a": 7})
    await RedisLoad(redis, "g1", loads).exchange()
    await redis.aclose()

    assert loads.of("a") == 1
