"""Tell, through Redis, how many requests this gateway has in flight at each engine, and hear of the other gateways'."""

import logging
import time
from collections import Counter
from collections.abc import Callable

from chat_gateway.domain.loads import Loads
from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client, answered, send, send_all
from sage_contracts.errors import StoreUnavailable
from sage_contracts.names import LOAD_INDEX, LOAD_KEY

log = logging.getLogger(__name__)

EXPIRES_SECONDS = 10
REFRESH_SECONDS = 4.0
EVERY_SECONDS = 1.0
FORGOTTEN_SECONDS = 3600.0
"""A gateway that died without withdrawing leaves its name behind for so long."""

_REPLACE = """
redis.call('DEL', KEYS[1])
if #ARGV > 1 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return 1
"""


class RedisLoad:
    """A HASH under this gateway's own key, which expires when the gateway dies."""

    def __init__(
        self, redis: Client, gateway_id: str, loads: Loads, clock: Callable[[], float] = time.monotonic
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
                await send(self._redis, "DEL", self._key)
                await send(self._redis, "ZREM", LOAD_INDEX, self._gateway_id)
        except StoreUnavailable as error:
            log.debug("load not withdrawn", extra={"error": error.message})

    async def _write(self, load: dict[str, int]) -> None:
        """The counts at once, then where to find them: the two keys may be on two servers."""
        fields: list[Argument] = [part for engine, count in load.items() for part in (engine, count)]
        await send(self._redis, "EVAL", _REPLACE, 1, self._key, EXPIRES_SECONDS, *fields)
        now = time.time()
        await send(self._redis, "ZADD", LOAD_INDEX, now, self._gateway_id)
        await send(self._redis, "ZREMRANGEBYSCORE", LOAD_INDEX, "-inf", now - FORGOTTEN_SECONDS)

    async def _others(self) -> Counter[str]:
        since = time.time() - 3 * EXPIRES_SECONDS  # clocks differ; the hashes expire by themselves
        listed: list[bytes] = await send(self._redis, "ZRANGE", LOAD_INDEX, since, "+inf", "BYSCORE")
        asked = [("HGETALL", LOAD_KEY.encode() + name) for name in listed if name != self._gateway_id.encode()]
        counted: list[dict[bytes, bytes]] = answered(await send_all(self._redis, asked))
        total: Counter[str] = Counter()
        for counts in counted:
            for engine_id, count in counts.items():
                if count.isdigit():
                    total[engine_id.decode("utf-8", "replace")] += int(count)
        return total
