"""Hints over Redis pub/sub: "something changed, go and look". Losing one costs seconds, never correctness."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError

from sage_chassis.redis_commands import FAILURES, Client

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0


class Bus:
    """After `silent_seconds` without a word the server is asked for one, and left when it has none: it may hang."""

    def __init__(self, redis: Client, *, silent_seconds: float = 5.0) -> None:
        self._redis = redis
        self._silent_seconds = silent_seconds

    async def publish(self, channel: str, hint: str) -> None:
        """Tell whoever listens. A hint that cannot be sent is logged and forgotten: listeners poll as well."""
        try:
            await self._redis.publish(channel, hint)
        except FAILURES as error:
            log.warning("hint lost", extra={"channel": channel, "error": type(error).__name__})

    async def listen(self, channel: str) -> AsyncGenerator[str]:
        """
        Every hint on `channel`, without end, through any number of reconnects.

        An empty hint comes first and after each reconnect: whatever was sent meanwhile is lost, so go and look.
        """
        while True:
            try:
                async with aclosing(self._subscribed(channel)) as hints:
                    async for hint in hints:
                        yield hint
            except FAILURES as error:
                log.warning("hints interrupted", extra={"channel": channel, "error": type(error).__name__})
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _subscribed(self, channel: str) -> AsyncGenerator[str]:
        pubsub = await self._opened()
        try:
            await pubsub.subscribe(channel)
            asked_at: float | None = None
            while True:
                message = await pubsub.get_message(timeout=self._silent_seconds)
                if message is None:
                    asked_at = await self._asked(pubsub, asked_at)
                    continue
                asked_at = None
                # redis-py reconnects and subscribes again by itself; the new confirmation is all that tells of the gap.
                if message["type"] == "subscribe":
                    yield ""
                elif message["type"] == "message":
                    yield bytes(message["data"]).decode("utf-8", "replace")
        finally:
            with suppress(*FAILURES):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it without types

    async def _asked(self, pubsub: PubSub, asked_at: float | None) -> float:
        """When it was asked for a word. RedisConnectionError when that is too long ago."""
        now = asyncio.get_running_loop().time()
        if asked_at is None:
            await pubsub.ping()
            return now
        # redis-py's own checks end a wait early, and say nothing either.
        if now - asked_at > self._silent_seconds * 0.8:
            raise RedisConnectionError("no answer to a ping")
        return asked_at

    async def _opened(self) -> PubSub:
        """On a cluster, at any node: each hears what was published at another. The next attempt may try another one."""
        if not isinstance(self._redis, RedisCluster):
            return self._redis.pubsub()
        await self._redis.initialize()
        return self._redis.pubsub(node=self._redis.get_random_primary_node())
