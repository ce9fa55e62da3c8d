"""Hints survive what pub/sub does not: by saying "go and look" after every reconnect."""

import asyncio
import signal
import time

import pytest

from sage_chassis import bus as bus_module
from sage_chassis import redis_client
from sage_chassis.bus import Bus
from tests.fakes.redis_server import AWAY_SECONDS, RedisServer, redis_server


async def test_a_hint_reaches_a_listener(shared_redis: RedisServer) -> None:
    redis = redis_client.connect(shared_redis.url)
    hints = Bus(redis).listen("hints:1")
    async with asyncio.timeout(30):
        first = await anext(hints)
        await Bus(redis).publish("hints:1", "7")
        second = await anext(hints)
    await hints.aclose()
    await redis.aclose()

    assert (first, second) == ("", "7")


async def test_after_a_restart_the_listener_is_told_to_look_and_hears_again() -> None:
    with redis_server() as server:
        redis = redis_client.connect(server.url)
        hints = Bus(redis).listen("hints:2")
        async with asyncio.timeout(60):
            await anext(hints)
            await server.restart()
            assert await anext(hints) == ""
            await Bus(redis).publish("hints:2", "8")
            assert await anext(hints) == "8"
        await hints.aclose()
        await redis.aclose()


async def test_a_hint_that_cannot_be_sent_is_not_an_error() -> None:
    with redis_server() as server:
        redis = redis_client.connect(server.url)
        server.kill()

        await Bus(redis).publish("hints:3", "9")

        await redis.aclose()


@pytest.mark.parametrize("fault", ["killed", "hung"])
@pytest.mark.slow
async def test_redis_away_is_known_within_two_seconds(fault: str) -> None:
    with redis_server() as server:
        redis = redis_client.connect(server.url)
        assert (await redis_client.check(redis)).ok
        if fault == "killed":
            server.kill()
        else:
            server.signal(signal.SIGSTOP)
        began = time.monotonic()
        found = await redis_client.check(redis)
        seconds = time.monotonic() - began
        if fault == "hung":
            server.signal(signal.SIGCONT)
        await redis.aclose()

    assert not found.ok
    assert seconds < AWAY_SECONDS
    assert bus_module.RECONNECT_SECONDS <= 1
