"""The one way a service reaches Redis: two seconds, at most, until it knows that Redis is away."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from sage_contracts.errors import StoreUnavailable
from sage_contracts.service import Check

BUDGET_SECONDS = 1.6
"""For one operation and all it asks of Redis, so that a caller knows within two seconds."""


def connect(url: str, *, max_connections: int = 64) -> Redis:
    """
    A client for use within `reached`.

    redis-py waits without limit by default: a hung server would hold every request. One repeat on a fresh connection
    hides a restart of the server; commands that are not safe to repeat must be scripts that recognise a repeat.
    Callers past `max_connections` wait their turn, at most a second: redis-py's usual pool would refuse them at once.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=1.0,
        socket_connect_timeout=0.5,
        socket_timeout=0.8,
        retry=Retry(ConstantBackoff(0.05), 1),
        retry_on_error=[RedisConnectionError],
        health_check_interval=15,
        max_connections=max_connections,
        client_name="sage",
    )
    return Redis.from_pool(pool)


@asynccontextmanager
async def reached() -> AsyncGenerator[None]:
    """
    Around every use of Redis: an end in time, and an error with a meaning.

    Raises StoreUnavailable for whatever keeps Redis from answering within the budget. The client's own limits are for
    each step, and a command on a hung server may take several: connect, greet, repeat.
    """
    try:
        async with asyncio.timeout(BUDGET_SECONDS):
            yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis cannot be used now ({type(error).__name__})", retry_after=2) from error


async def check(redis: Redis) -> Check:
    """Whether Redis answers a PING, for `/readyz`."""
    try:
        async with reached():
            await redis.ping()
    except StoreUnavailable as error:
        return Check(ok=False, detail=error.message)
    return Check(ok=True)
