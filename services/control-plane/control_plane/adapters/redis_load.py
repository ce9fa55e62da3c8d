"""Requests in flight, as each chat-gateway writes them to a HASH of its own, summed."""

from collections import Counter
from collections.abc import Mapping

from control_plane.domain.ports import Clock
from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Client, answered, send, send_all
from sage_contracts.names import LOAD_INDEX, LOAD_KEY

SILENT_SECONDS = 30.0
"""A gateway that has not written for so long is gone; its HASH has expired by then."""


class RedisLoad:
    def __init__(self, redis: Client, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock

    async def active(self) -> Mapping[str, int]:
        since = self._clock() - SILENT_SECONDS
        async with reached():
            gateways: list[bytes] = await send(self._redis, "ZRANGE", LOAD_INDEX, since, "+inf", "BYSCORE")
            asked = [("HGETALL", LOAD_KEY.encode() + gateway) for gateway in gateways]
            counted: list[dict[bytes, bytes]] = answered(await send_all(self._redis, asked))
        total: Counter[str] = Counter()
        for counts in counted:
            for engine_id, count in counts.items():
                if count.isdigit():
                    total[engine_id.decode("utf-8", "replace")] += int(count)
        return total
