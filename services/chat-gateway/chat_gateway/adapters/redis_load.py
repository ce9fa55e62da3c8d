"""Tell the other services, through Redis, how many requests this gateway has in flight at each engine."""

import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_gateway.domain.loads import Loads
from sage_contracts.names import LOAD_KEY

log = logging.getLogger(__name__)

EXPIRES_SECONDS = 10
REFRESH_SECONDS = 4.0
EVERY_SECONDS = 1.0


class RedisLoad:
    """A HASH under this gateway's own key, which expires when the gateway dies."""

    def __init__(
        self, redis: Redis, gateway_id: str, loads: Loads, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._key = LOAD_KEY + gateway_id
        self._loads = loads
        self._clock = clock
        self._told: dict[str, int] = {}
        self._told_at = clock()

    async def report(self) -> None:
        """Write when the counts changed, or before they expire. A Redis that is away is no reason to stop anything."""
        load = self._loads.own()
        is_fresh = not load or self._clock() - self._told_at < REFRESH_SECONDS
        if load == self._told and is_fresh:
            return
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(self._key)
                if load:
                    pipe.hset(self._key, mapping={engine: str(count) for engine, count in load.items()})
                    pipe.expire(self._key, EXPIRES_SECONDS)
                await pipe.execute()
        except (RedisError, OSError) as error:
            log.debug("load not told", extra={"error": type(error).__name__})
            return
        self._told, self._told_at = load, self._clock()

    async def withdraw(self) -> None:
        """Count no more: the gateway stops."""
        try:
            await self._redis.delete(self._key)
        except (RedisError, OSError) as error:
            log.debug("load not withdrawn", extra={"error": type(error).__name__})
