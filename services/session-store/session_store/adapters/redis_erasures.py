"""Which sessions' memories are still to be erased elsewhere: a SET on Redis, of all owners."""

from collections.abc import Sequence

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Client, send
from session_store.domain.records import SessionKey

KEY = "sage:erasing"


class RedisErasures:
    """Implements OwedErasures."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def add(self, keys: Sequence[SessionKey]) -> None:
        async with reached():
            await send(self._redis, "SADD", KEY, *map(_written, keys))

    async def some(self, count: int) -> list[SessionKey]:
        async with reached():
            found = await send(self._redis, "SRANDMEMBER", KEY, count)
        return [SessionKey(*member.decode().split("/", 1)) for member in found]

    async def remove(self, keys: Sequence[SessionKey]) -> None:
        async with reached():
            await send(self._redis, "SREM", KEY, *map(_written, keys))


def _written(key: SessionKey) -> str:
    """Neither an owner nor an id holds `/`."""
    return f"{key.owner}/{key.session_id}"
