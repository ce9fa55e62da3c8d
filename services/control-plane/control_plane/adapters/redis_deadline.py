"""Around every use of Redis: an end in time, and an error with a meaning."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from sage_chassis import redis_client

BUDGET_SECONDS = 1.8


@asynccontextmanager
async def reached() -> AsyncGenerator[None]:
    """
    Raises StoreUnavailable for whatever keeps Redis from answering within the budget.

    The client's own limits are for each step; a command on a hung server may take several: connect, greet, repeat.
    """
    try:
        async with asyncio.timeout(BUDGET_SECONDS):
            yield
    except (RedisError, OSError) as error:
        raise redis_client.away(error) from error
