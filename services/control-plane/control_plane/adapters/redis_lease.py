"""Leadership as a key in Redis that expires unless its holder renews it."""

import logging
import secrets

from control_plane.adapters.redis_registry import LEADER
from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Client, send
from sage_contracts.errors import StoreUnavailable

log = logging.getLogger(__name__)

_RENEW = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class RedisLease:
    """
    Held while it is renewed within `seconds`.

    The holder may believe itself leader a little longer than it is; that is why its changes carry the token and are
    refused by the store once another holds the lease.
    """

    def __init__(self, redis: Client, *, seconds: float) -> None:
        self._redis = redis
        self._milliseconds = max(1, round(seconds * 1000))
        self._own = secrets.token_hex(8)
        self._held = False

    @property
    def token(self) -> str | None:
        return self._own if self._held else None

    async def renew(self) -> None:
        held = self._held
        try:
            async with reached():
                self._held = await send(self._redis, "EVAL", _RENEW, 1, LEADER, self._own, self._milliseconds) == 1
        except StoreUnavailable as error:
            self._held = False
            if held:
                log.warning("lease not renewed", extra={"error": error.message})

    async def release(self) -> None:
        held, self._held = self._held, False
        if not held:
            return
        try:
            async with reached():
                await send(self._redis, "EVAL", _RELEASE, 1, LEADER, self._own)
        except StoreUnavailable as error:
            log.warning("lease not released", extra={"error": error.message})
