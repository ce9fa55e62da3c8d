import asyncio

import pytest
from redis.asyncio import Redis

from control_plane.adapters.redis_lease import RedisLease
from control_plane.adapters.redis_registry import LEADER
from sage_chassis import redis_client
from tests.control_plane.stack import eventually
from tests.fakes.redis_server import RedisServer, redis_server


async def test_one_of_two_holds_the_lease(redis: Redis) -> None:
    first, second = RedisLease(redis, seconds=5), RedisLease(redis, seconds=5)
    await asyncio.gather(first.renew(), second.renew())

    assert sorted([first.token is None, second.token is None]) == [False, True]


async def test_the_holder_keeps_it_by_renewing(redis: Redis) -> None:
    first, second = RedisLease(redis, seconds=5), RedisLease(redis, seconds=5)
    for lease in (first, second, first, second):
        await lease.renew()

    assert first.token is not None
    assert (await redis.get(LEADER)) == first.token.encode()
    assert second.token is None


async def test_a_silent_holder_loses_it(redis: Redis) -> None:
    first, second = RedisLease(redis, seconds=0.2), RedisLease(redis, seconds=5)
    await first.renew()

    async def taken() -> str | None:
        await second.renew()
        return second.token

    assert await eventually(taken)
    await first.renew()
    assert first.token is None


async def test_a_released_lease_is_free_at_once(redis: Redis) -> None:
    first, second = RedisLease(redis, seconds=60), RedisLease(redis, seconds=60)
    await first.renew()
    await second.release()
    await first.release()
    await first.release()
    await second.renew()

    assert (first.token, second.token is None) == (None, False)


async def test_a_lease_that_cannot_be_renewed_is_lost_and_nothing_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    with redis_server() as server:
        async with redis_client.connect(server.url) as client:
            lease = RedisLease(client, seconds=60)
            await lease.renew()
            held = lease.token
            server.kill()
            await lease.renew()
            await lease.release()

    assert held is not None
    assert lease.token is None
    assert "lease not renewed" in caplog.text


async def test_a_release_that_does_not_arrive_is_logged(
    caplog: pytest.LogCaptureFixture, shared_redis: RedisServer
) -> None:
    with redis_server() as server:
        async with redis_client.connect(server.url) as client:
            lease = RedisLease(client, seconds=60)
            await lease.renew()
            server.kill()
            await lease.release()

    assert "lease not released" in caplog.text
