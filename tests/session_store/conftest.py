"""Both adapters, and a service on each."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from redis import Redis as BlockingRedis

from session_store.adapters.memory_sessions import MemorySessions
from session_store.adapters.redis_sessions import RedisSessions
from session_store.domain.ports import StoredSessions
from tests.fakes.redis_server import RedisServer
from tests.session_store.parts import Clock, Desk, desk_over, redis_client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """An empty database of the session-store tests' own."""
    url = shared_redis.url.removesuffix("/0") + "/7"
    with BlockingRedis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(params=["memory", "redis"])
async def stored(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[StoredSessions]:
    if request.param == "memory":
        yield MemorySessions(clock=clock)
        return
    async with redis_client(request.getfixturevalue("redis_url")) as redis:
        yield RedisSessions(redis, ttl_ms=0)


@pytest.fixture
def desk(stored: StoredSessions, clock: Clock) -> Desk:
    return desk_over(stored, clock)


@pytest.fixture
async def http(desk: Desk) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a whole service, once on each adapter."""
    async with desk.served() as url, aiohttp.ClientSession(url) as session:
        yield session
