"""Work for the engine that nobody waits for: done one after the other, and given up where there is too much of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sage_contracts.errors import SageError
from session_store.domain.ports import MemoryWork, Tally

log = logging.getLogger(__name__)

WAITING_AT_MOST = 200

Chore = Callable[[], Awaitable[None]]


class Chores:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._waiting: asyncio.Queue[tuple[MemoryWork, Chore]] = asyncio.Queue(WAITING_AT_MOST)

    def offer(self, work: MemoryWork, chore: Chore) -> None:
        try:
            self._waiting.put_nowait((work, chore))
        except asyncio.QueueFull:
            self._tally.memory(work, "dropped")

    async def run(self) -> None:
        """For as long as the service lives."""
        while True:
            await self.next()

    async def next(self) -> None:
        """Do one, once there is one."""
        work, chore = await self._waiting.get()
        try:
            await chore()
        except SageError as error:
            self._tally.memory(work, "failed")
            log.warning("memory work failed", extra={"work": work, "error": error.code})
        else:
            self._tally.memory(work, "done")
        finally:
            self._waiting.task_done()

    async def idle(self) -> None:
        """Returns once nothing waits and nothing is under way."""
        await self._waiting.join()
