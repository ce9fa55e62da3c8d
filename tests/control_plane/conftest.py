"""A control-plane over an empty Redis."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.control_plane.stack import ControlPlane, control_plane
from tests.fakes.redis_server import RedisServer


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncGenerator[Redis]:
    async with Redis.from_url(shared_redis.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def plane(redis: Redis, shared_redis: RedisServer, tmp_path: Path) -> AsyncGenerator[ControlPlane]:
    async with control_plane(shared_redis.url, tmp_path) as running:
        yield running
