"""The one way a service reaches Redis: two seconds, at most, until it knows that Redis is away."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from sage_contracts.errors import StoreUnavailable
from sage_contracts.service import Check


def connect(url: str, *, max_connections: int = 64) -> Redis:
    """
    A client that gives up within two seconds.

    redis-py waits without limit by default: a hung server would hold every request. One repeat on a fresh connection
    hides a restart of the server; commands that are not safe to repeat must be scripts that recognise a repeat.
    Callers past `max_connections` wait their turn, at most a second: redis-py's usual pool would refuse them at once.
    A service with that many callers keeps a deadline of its own over both.
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


def away(error: Exception) -> StoreUnavailable:
    """What an adapter raises `from` a RedisError."""
    return StoreUnavailable(f"Redis cannot be used now ({type(error).__name__})", retry_after=2)


async def check(redis: Redis) -> Check:
    """Whether Redis answers a PING, for `/readyz`."""
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        return Check(ok=False, detail=f"Redis: {type(error).__name__}")
    return Check(ok=True)
