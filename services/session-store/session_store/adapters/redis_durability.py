"""Whether Redis keeps what it is given: its append-only file, and that it never throws keys out to make room."""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sage_contracts.service import Check
from session_store.adapters.redis_scripts import send

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
WANTED = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


class RedisDurability:
    def __init__(self, redis: Redis, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._redis = redis
        self._retry_seconds = retry_seconds

    async def check(self) -> Check:
        """For `/readyz`; a server that does not tell its settings is not held to be wrong."""
        try:
            return _judged(await self._read())
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            return Check(ok=False, detail=f"Redis: {type(error).__name__}")
        except ResponseError:
            return Check(ok=True, detail=f"CONFIG GET is refused, so it is not known whether {_wanted()}")

    async def tell_once(self) -> None:
        """Warn in the log of what is wrong, as soon as Redis can be asked."""
        while True:
            try:
                found = _judged(await self._read())
            except ResponseError:
                log.warning("redis does not tell its settings", extra={"wanted": WANTED})
                return
            except (RedisError, OSError):
                await asyncio.sleep(self._retry_seconds)
            else:
                if not found.ok:
                    log.warning("redis may lose sessions", extra={"detail": found.detail, "wanted": WANTED})
                return

    async def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in WANTED:
            answer = await send(self._redis, "CONFIG GET", name)
            pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
            found |= {_text(key): _text(value) for key, value in pairs}
        return found


def _judged(found: dict[str, str]) -> Check:
    told = ", ".join(f"{name} is {found.get(name, 'unknown')}" for name in WANTED)
    if all(found.get(name) in {None, value} for name, value in WANTED.items()):
        return Check(ok=True, detail=told)
    return Check(ok=False, detail=f"{told}: sessions are safe only when {_wanted()}")


def _wanted() -> str:
    return " and ".join(f"{name} is {value}" for name, value in WANTED.items())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
