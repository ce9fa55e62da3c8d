"""Both adapters, and a service on each."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from redis import Redis as BlockingRedis

from session_store.domain.ports import StoredSessions, StoredTurns
from tests.fakes.redis_server import RedisServer
from tests.session_store.parts import Clock, Desk, Store, desk_over, memory_store, redis_client, redis_store


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
async def place(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Store]:
    """Where sessions and turns are kept, once on each adapter."""
    if request.param == "memory":
        yield memory_store(clock)
        return
    async with redis_client(request.getfixturevalue("redis_url")) as redis:
        yield redis_store(redis)


@pytest.fixture
def stored(place: Store) -> StoredSessions:
    return place.sessions


@pytest.fixture
def held(place: Store) -> StoredTurns:
    return place.turns


@pytest.fixture
def desk(place: Store, clock: Clock) -> Desk:
    return desk_over(place, clock)


@pytest.fixture
async def http(desk: Desk) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a whole service, once on each adapter."""
    async with desk.served() as url, aiohttp.ClientSession(url) as session:
        yield session
