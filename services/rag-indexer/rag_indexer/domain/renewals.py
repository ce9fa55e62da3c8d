"""Indexes are kept up to date in the background; what could not be done is tried again."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rag_indexer.domain import removing
from rag_indexer.domain.jobs import RETRY_SECONDS, Job, Jobs, is_elsewhere, outcome
from rag_indexer.domain.ports import Collections, Record
from rag_indexer.domain.progress import PATIENCE_SECONDS
from rag_indexer.domain.sources import Sources
from sage_contracts import index as wire
from sage_contracts import names
from sage_contracts.errors import Conflict, SageError, Unavailable

log = logging.getLogger(__name__)

_TRIES = 6
_LONGEST_PAUSE = 300.0


@dataclass(slots=True)
class _Renewal:
    """
    `watched` is the folder whose changes it is asked for, if it is for those; `seen` whether it has found an index.

    One that it has seen and that is gone was deleted, maybe by another process: it must not bring that back.
    """

    name: str
    watched: str | None = None
    seen: bool = False


class Renewals:
    """
    `pause` is how many seconds a renewal waits for an encoder or a store that is away, or for another process that
    builds; each further renewal twice as long. `patience` is for how many one from which nothing comes is waited for
    before the next one begins.
    """

    def __init__(
        self,
        *,
        jobs: Jobs,
        collections: Collections,
        sources: Sources,
        utc: Callable[[], datetime],
        pause: float = RETRY_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._collections = collections
        self._sources = sources
        self._utc = utc
        self._pause = pause
        self._patience = patience
        self._pauses: dict[str, float] = {}
        """How long was last waited for what is away, by collection; without it what waits gives up."""
        self._waiting: dict[str, _Renewal] = {}
        self._touched: dict[str, _Renewal] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    async def refresh(self) -> None:
        """Bring each index up to date with its folder and uploads, or make a first one; in the background at start."""
        found = {*await self._collections.names(), *await self._sources.uploaded(), names.DOCS_COLLECTION}
        for name in sorted(found):
            record = await (await self._collections.open(name)).record()
            if record is not None:
                self._jobs.serving(name, record.num_chunks)
        for name in sorted(found):
            await self._renew_in_turn(name)

    async def renew(self, name: str) -> wire.Built | None:
        """
        Bring the index up to date, by a build that begins after now; None when there is nothing to make it of.

        What goes wrong is logged, and in the status; where something was away, it is tried again until that is back.
        Another process that builds it is waited for a while; then that too is tried again later.
        """
        return await self._renew(_Renewal(name))

    async def take_out(self, name: str, path: str) -> None:
        """
        Bring the index up to date; where that fails, remove at least this file from it.

        No search finds the file when this returns. Raises StoreUnavailable, and BuildRunning when another process
        builds; it is done later then.
        """
        if await self.renew(name) is not None:
            return
        try:
            await self._remove(name, path)
        except (Conflict, Unavailable):
            self._later(self._remove_later(name, path))
            raise

    def touch(self, name: str, watched: str | None = None) -> None:
        """
        Bring the index up to date soon; asked for again before that has begun, it is done once.

        What failed before is not told any more: it is tried again. `watched` is the folder that has changed, if one is
        followed: a first index that could not be made of it is made of it then.
        """
        self._jobs.forget(name)
        if name not in self._touched:
            self._later(self._renew_touched(name))
        if watched is not None or name not in self._touched:
            self._touched[name] = _Renewal(name, watched)

    def forget(self, name: str) -> None:
        """It is deleted: nothing is to be built of it later."""
        self._pauses.pop(name, None)
        self._touched.pop(name, None)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _renew_in_turn(self, name: str) -> None:
        """Return once that is done, or nothing comes of it any more: it goes on beside the others then."""
        renewing = self._later(self.renew(name))
        await asyncio.wait([renewing], timeout=self._patience)
        while not renewing.done() and self._jobs.advances(name):
            await asyncio.wait([renewing], timeout=self._patience / 4)
        if renewing.done():
            renewing.result()

    async def _renew(self, renewal: _Renewal) -> wire.Built | None:
        for _ in range(_TRIES):
            job = await self._renewing(renewal)
            if job is None or not is_elsewhere(job):
                break
            await asyncio.sleep(self._pause)
        if job is None:
            return None
        error = None if job.task.cancelled() else job.task.exception()
        if isinstance(error, Unavailable) or is_elsewhere(job):
            self._try_later(renewal)
        else:
            self._pauses.pop(renewal.name, None)
        return None if error or job.task.cancelled() else await outcome(job)

    async def _renewing(self, renewal: _Renewal) -> Job | None:
        """A build that has ended, begun after now."""
        name = renewal.name
        while True:
            await self._jobs.free(name)
            try:
                record = await (await self._collections.open(name)).record()
                if renewal.seen and record is None:
                    log.info("not indexed again: it is deleted", extra={"collection": name})
                    self._jobs.forget(name)
                    self._pauses.pop(name, None)
                    return None
                renewal.seen = record is not None
                folder = self._failed_folder(renewal, record)
                job = self._jobs.start(await self._sources.wanted(name, folder, record, force=False, stay=True))
            except Conflict:  # somebody was faster
                continue
            except SageError as error:
                log.warning("not indexed", extra={"collection": name, "reason": error.message})
                if isinstance(error, Unavailable):
                    self._jobs.fail(name, error.message)
                    self._try_later(renewal)
                return None
            await asyncio.wait([job.task])
            return job

    def _failed_folder(self, renewal: _Renewal, record: Record | None) -> str | None:
        """The folder that is watched, where a request named it and no index could be made of it yet."""
        failed = self._jobs.failed(renewal.name, record)
        named = failed.source_dir if failed is not None and failed.chosen else None
        return named if named == renewal.watched else None

    async def _renew_touched(self, name: str) -> None:
        await self._jobs.free(name)
        if (renewal := self._touched.pop(name, None)) is not None:
            await self._renew(renewal)

    async def _remove(self, name: str, path: str) -> None:
        passages = await self._collections.open(name)
        await self._jobs.free(name)
        if await self._jobs.change(name, removing.taken_out(passages, path, self._utc())):
            record = await passages.record()
            self._jobs.serving(name, record.num_chunks if record else 0)

    async def _remove_later(self, name: str, path: str) -> None:
        """Unless it was uploaded again since."""
        pause = self._pause
        while True:
            await asyncio.sleep(pause)
            if await asyncio.to_thread(self._sources.is_uploaded, name, path):
                return
            with suppress(Conflict, Unavailable):
                await self._remove(name, path)
                return
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _try_later(self, renewal: _Renewal) -> None:
        name = renewal.name
        waits = name in self._waiting
        self._waiting[name] = renewal
        if waits:
            self._pauses.setdefault(name, self._pause)  # what waits had given up, and has a reason again
            return
        pause = 2 * self._pauses[name] if name in self._pauses else self._pause
        self._pauses[name] = pause = min(pause, _LONGEST_PAUSE)
        self._later(self._try_again(name, pause))

    async def _try_again(self, name: str, pause: float) -> None:
        await asyncio.sleep(pause)
        renewal = self._waiting.pop(name)
        if name in self._pauses:
            await self._renew(renewal)

    def _later(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
