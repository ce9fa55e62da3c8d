"""Tell, through Redis, how many requests this gateway has in flight at each engine, and hear of the other gateways'."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

from redis.asyncio import Redis

from chat_gateway.domain.loads import Loads
from sage_chassis.redis_client import reached
from sage_contracts.errors import StoreUnavailable
from sage_contracts.names import LOAD_INDEX, LOAD_KEY

log = logging.getLogger(__name__)

EXPIRES_SECONDS = 10
REFRESH_SECONDS = 4.0
EVERY_SECONDS = 1.0
FORGOTTEN_SECONDS = 3600.0
"""A gateway that died without withdrawing leaves its name behind for so long."""


class RedisLoad:
    """A HASH under this gateway's own key, which expires when the gateway dies."""

    def __init__(
        self, redis: Redis, gateway_id: str, loads: Loads, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._gateway_id = gateway_id
        self._key = LOAD_KEY + gateway_id
        self._loads = loads
        self._clock = clock
        self._told: dict[str, int] = {}
        self._told_at = clock()

    async def exchange(self) -> None:
        """Tell and hear. While Redis is away nothing is heard, and the gateway goes by its own counts."""
        await self.report()
        others: Counter[str] = Counter()
        try:
            async with reached():
                others = await self._others()
        except StoreUnavailable as error:
            log.debug("load not heard", extra={"error": error.message})
        self._loads.heard(others)

    async def report(self) -> None:
        """Write when the counts changed, or before they expire. A Redis that is away is no reason to stop anything."""
        load = self._loads.own()
        is_fresh = not load or self._clock() - self._told_at < REFRESH_SECONDS
        if load == self._told and is_fresh:
            return
        try:
            async with reached():
                await self._write(load)
        except StoreUnavailable as error:
            log.debug("load not told", extra={"error": error.message})
            return
        self._told, self._told_at = load, self._clock()

    async def withdraw(self) -> None:
        """Count no more: the gateway stops."""
        try:
            async with reached():
                await self._redis.delete(self._key)
                await self._redis.zrem(LOAD_INDEX, self._gateway_id)
        except StoreUnavailable as error:
            log.debug("load not withdrawn", extra={"error": error.message})

    async def _write(self, load: dict[str, int]) -> None:
        """The counts at once, then where to find them: the two keys may be on two servers."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(self._key)
            if load:
                pipe.hset(self._key, mapping={engine: str(count) for engine, count in load.items()})
                pipe.expire(self._key, EXPIRES_SECONDS)
            await pipe.execute()
        now = time.time()
        await self._redis.zadd(LOAD_INDEX, {self._gateway_id: now})
        await self._redis.zremrangebyscore(LOAD_INDEX, "-inf", now - FORGOTTEN_SECONDS)

    async def _others(self) -> Counter[str]:
        async with self._redis.pipeline(transaction=False) as pipe:
            since = time.time() - 3 * EXPIRES_SECONDS  # clocks differ; the hashes expire by themselves
            listed = cast("list[bytes]", await self._redis.zrangebyscore(LOAD_INDEX, since, float("inf")))
            gateways = [name for name in listed if name != self._gateway_id.encode()]
            for name in gateways:
                pipe.hgetall(LOAD_KEY.encode() + name)
            counted = cast("list[dict[bytes, bytes]]", await pipe.execute() if gateways else [])
        total: Counter[str] = Counter()
        for counts in counted:
            for engine_id, count in counts.items():
                if count.isdigit():
                    total[engine_id.decode("utf-8", "replace")] += int(count)
        return total
