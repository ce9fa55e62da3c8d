"""Whether Redis keeps what it is given: its append-only file, and that it never throws keys out to make room."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sage_chassis.redis_commands import FAILURES, Client
from sage_contracts.service import Check

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
WANTED = {"appendonly": "yes", "maxmemory-policy": "noeviction"}
TOLD = "appendfsync"
"""Told, not judged: with `everysec` a machine that loses its power loses a second, with `always` nothing."""


class RedisDurability:
    def __init__(self, redis: Client, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._redis = redis
        self._retry_seconds = retry_seconds

    async def check(self) -> Check:
        """For `/readyz`; a server that does not tell its settings is not held to be wrong."""
        try:
            return _judged(await self._read())
        except (RedisConnectionError, RedisTimeoutError, RedisClusterException, OSError) as error:
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
            except FAILURES:
                await asyncio.sleep(self._retry_seconds)
            else:
                if not found.ok:
                    log.warning("redis may lose sessions", extra={"detail": found.detail, "wanted": WANTED})
                return

    async def _read(self) -> list[dict[str, str]]:
        """Of every server that takes writes."""
        if not isinstance(self._redis, RedisCluster):
            return [await self._read_of()]
        await self._redis.initialize()
        return [await self._read_of(target_nodes=node) for node in self._redis.get_primaries()]

    async def _read_of(self, **where: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in (*WANTED, TOLD):
            answer = await self._redis.execute_command("CONFIG GET", name, **where)
            found |= {_text(key): _text(value) for key, value in _pairs(answer)}
        return found


def _judged(servers: Iterable[Mapping[str, str]]) -> Check:
    wrong = [found for found in servers if any(found.get(name) not in {None, value} for name, value in WANTED.items())]
    shown = wrong or list(servers)
    told = "; ".join(sorted({_told(found) for found in shown}))
    return Check(ok=not wrong, detail=f"{told}: sessions are safe only when {_wanted()}" if wrong else told)


def _told(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} is {found.get(name, 'unknown')}" for name in (*WANTED, TOLD))


def _wanted() -> str:
    return " and ".join(f"{name} is {value}" for name, value in WANTED.items())


def _pairs(answer: Any) -> Iterable[tuple[bytes | str, bytes | str]]:
    """RESP3 answers pairs, RESP2 a flat list."""
    return answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
