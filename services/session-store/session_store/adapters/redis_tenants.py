"""Which sessions have anything in the rag-indexer: a SET on Redis, of all owners."""

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Client, send
from session_store.domain.records import SessionKey

KEY = "sage:recollected"


class RedisTenants:
    """Implements Tenants."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def add(self, key: SessionKey) -> None:
        async with reached():
            await send(self._redis, "SADD", KEY, _written(key))

    async def has(self, key: SessionKey) -> bool:
        async with reached():
            return bool(await send(self._redis, "SISMEMBER", KEY, _written(key)))

    async def remove(self, key: SessionKey) -> None:
        async with reached():
            await send(self._redis, "SREM", KEY, _written(key))

    async def some(self, count: int) -> list[SessionKey]:
        async with reached():
            found = await send(self._redis, "SRANDMEMBER", KEY, count)
        return [SessionKey(*member.decode().split("/", 1)) for member in found]


def _written(key: SessionKey) -> str:
    """Neither an owner nor an id holds `/`."""
    return f"{key.owner}/{key.session_id}"
