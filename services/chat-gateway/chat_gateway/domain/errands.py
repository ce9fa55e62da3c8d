"""What goes on when the request that began it is over, and the lease of a turn that is being answered."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sage_contracts.errors import SageError, SessionNotFound, TurnLost

log = logging.getLogger(__name__)

T = TypeVar("T")

RENEWALS = 3
"""So often is a turn renewed within the time of its lease."""


class Errands:
    """Work that outlives the request that began it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._waiting: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T], *, waits: bool = False) -> asyncio.Task[T]:
        """Work that `waits` for somebody else is not waited for when the gateway stops."""
        task = asyncio.create_task(work)
        kept = self._waiting if waits else self._running
        kept.add(task)
        task.add_done_callback(kept.discard)
        task.add_done_callback(_looked_at)
        return task

    async def settled(self) -> None:
        """Return when nothing is on its way any more."""
        for task in self._waiting:
            task.cancel()
        while running := self._running | self._waiting:
            await asyncio.wait(running)


class Lease:
    """Renews what it is for until it is ended, or until that is no longer ours."""

    def __init__(self, renew: Callable[[], Coroutine[Any, Any, None]], seconds: float, errands: Errands) -> None:
        self._renew = renew
        self._every = seconds / RENEWALS
        self._errands = errands
        self._is_over = False
        self._timer = self._armed()

    def end(self) -> None:
        self._is_over = True
        self._timer.cancel()

    def _armed(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._every, self._begin)

    def _begin(self) -> None:
        self._errands.begin(self._renewed())

    async def _renewed(self) -> None:
        """A renewal that failed is made again when the next one is due: the lease allows for it."""
        try:
            await self._renew()
        except (TurnLost, SessionNotFound):
            return
        except SageError as error:
            log.info("turn not renewed", extra={"error": error.code})
        if not self._is_over:
            self._timer = self._armed()


def _looked_at(task: asyncio.Task[Any]) -> None:
    """What the store refuses has been told by then, or nobody is left to tell."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, SageError):
        log.error("errand failed", exc_info=error)
