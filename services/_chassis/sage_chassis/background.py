"""Loops that run beside the requests for as long as the service does."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
RECANCEL_SECONDS = 0.5

Loop = Callable[[], Awaitable[None]]


@asynccontextmanager
async def running(*loops: Loop) -> AsyncGenerator[None]:
    """Run each loop until the block ends. A loop that fails is logged and begun again: it must never die unseen."""
    tasks = [asyncio.create_task(_kept_alive(loop)) for loop in loops]
    try:
        yield
    finally:
        await _ended(tasks)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    """
    Cancel until it takes.

    Before Python 3.12 `asyncio.wait_for`, which redis-py calls for every command it sends, can swallow a cancellation:
    the loop would go on for ever, and the service never stop.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=RECANCEL_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _kept_alive(loop: Loop) -> None:
    while True:
        try:
            await loop()
        except Exception:  # the loop's owner could not name it: log it whole and go on
            name = getattr(loop, "__qualname__", repr(loop))
            log.exception("loop failed", extra={"loop": name})
            await asyncio.sleep(RESTART_SECONDS)
        else:
            return


def every(seconds: float, action: Loop) -> Loop:
    """A loop that does `action`, then waits `seconds`, again and again."""

    async def repeated() -> None:
        while True:
            await action()
            await asyncio.sleep(seconds)

    repeated.__qualname__ = getattr(action, "__qualname__", repr(action))
    return repeated
