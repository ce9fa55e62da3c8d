"""What may be asked of indexes: to be built, told of, rolled back, deleted; searches go on meanwhile."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any

from rag_indexer.domain import estimating, removing
from rag_indexer.domain.building import Building, Clock, Wanted
from rag_indexer.domain.jobs import Job, Jobs, is_elsewhere
from rag_indexer.domain.ports import Collections, Counts, Holder, Passages
from rag_indexer.domain.progress import Progress
from rag_indexer.domain.records import info
from rag_indexer.domain.sources import Sources
from sage_contracts import index as wire
from sage_contracts import names
from sage_contracts.errors import (
    BuildRunning,
    Conflict,
    IndexMismatch,
    NoEarlierIndex,
    SageError,
    StoreUnavailable,
    Unavailable,
)

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_TRIES = 6
_LONGEST_PAUSE = 300.0
_LOOK_SECONDS = 1.0
"""Between two looks at what another process builds."""


class Builds:
    """
    One build at a time of each collection.

    `pause` is how many seconds a renewal waits for an encoder or a store that is away, or for another process that
    builds; each further renewal twice as long.
    """

    def __init__(
        self,
        *,
        collections: Collections,
        sources: Sources,
        building: Building,
        clock: Clock,
        counts: Counts,
        pause: float = _RETRY_SECONDS,
    ) -> None:
        self._collections = collections
        self._sources = sources
        self._building = building
        self._clock = clock
        self._jobs = Jobs(collections, building, clock, counts)
        self._pause = pause
        self._pauses: dict[str, float] = {}
        """How long was last waited for what is away, by collection; without it what waits gives up."""
        self._waiting: set[str] = set()
        self._touched: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def build(self, request: wire.BuildRequest) -> wire.Built:
        """
        Start a build and wait for it, or not.

        Raises SourceRefused for a folder that may not be indexed, BuildRunning, and, waiting, what the build failed
        with. A caller who leaves does not stop it.
        """
        name = collection(request.collection)
        if not request.dry_run:
            self._jobs.refuse_if_running(name)
        wanted = await self._wanted(name, request.source_dir, force=request.force_rebuild, stay=False)
        if request.dry_run:
            return await self._planned(wanted)
        job = self._jobs.start(wanted)
        if request.wait:
            return await _outcome(job)
        held = asyncio.create_task(job.progress.held.wait())
        await asyncio.wait({held, job.task}, return_when=asyncio.FIRST_COMPLETED)
        held.cancel()
        if not job.progress.held.is_set():
            return await _outcome(job)  # it could not begin, and says why
        now = self._jobs.running(name) or job.progress.job(0.0)
        return wire.Built(status="building", message=f"indexing {wanted.folder.path or name}", job=now)

    async def status(self, asked: str | None = None) -> wire.IndexStatus:
        name = collection(asked)
        # First, so that a build that ends in the meantime is not told as one that left no index.
        job, error = self._jobs.running(name), self._jobs.error(name)
        elsewhere = None if job else await self._elsewhere(name)
        passages = await self._collections.open(name)
        record, earlier = await passages.record(), await passages.earlier()
        index, previous = info(record) if record else None, info(earlier) if earlier else None
        if job is not None:
            return wire.IndexStatus(status="building", index=index, job=job, previous=previous)
        if elsewhere is not None:
            return wire.IndexStatus(
                status="building", index=index, job=elsewhere.job, builder=elsewhere.by, previous=previous
            )
        if error is not None:
            return wire.IndexStatus(status="failed", index=index, error=error, previous=previous)
        return wire.IndexStatus(status="ready" if index else "not_found", index=index, previous=previous)

    async def folder(self, name: str) -> str:
        """The folder that the index is made of, or is about to be; empty when it is none."""
        if (building := self._jobs.source_dir(name)) is not None:
            return building
        record = await (await self._collections.open(name)).record()
        return record.source_dir if record else ""

    def failed(self, name: str) -> bool:
        """Whether the last build of it here did, and none runs now."""
        return self._jobs.error(name) is not None

    async def follows(self, name: str, path: str) -> bool:
        """Whether a change of this folder is one of the index: no more once that is deleted, or made of another one."""
        if self.failed(name) or self._jobs.source_dir(name) == path:
            return True
        record = await (await self._collections.open(name)).record()  # a build of another one may come to nothing
        return record is not None and record.source_dir == path

    async def listing(self) -> wire.CollectionList:
        found = sorted({*await self._collections.names(), *self._jobs.names()})
        told = [(name, await self.status(name)) for name in found]
        return wire.CollectionList(
            collections=[wire.CollectionInfo(name=name, status=one.status, index=one.index) for name, one in told]
        )

    def events(self, asked: str | None) -> AsyncGenerator[wire.BuildEvent]:
        """Of the build that runs, or ran last; of one in another process not how it ended."""
        return self._events(collection(asked))

    async def cancel(self, asked: str | None) -> wire.Cancelled:
        """Raises BuildRunning for a build of another process."""
        name = collection(asked)
        build = await self._jobs.cancel(name)
        if build is None:
            if (elsewhere := await self._elsewhere(name)) is not None:
                raise BuildRunning(elsewhere.message)
            return wire.Cancelled(status="not_running", message="no build is under way")
        return wire.Cancelled(status="cancelled", message=f"build {build} was broken off")

    async def rollback(self, asked: str | None) -> wire.RolledBack:
        """Raises NoEarlierIndex, IndexMismatch when it could not be searched, and BuildRunning."""
        name = collection(asked)
        passages = await self._collections.open(name)
        if not await self._jobs.change(name, self._rolled_back(passages)):
            raise NoEarlierIndex("the earlier index cannot be opened")
        record = await passages.record()
        if record is None:
            raise NoEarlierIndex("there is no index to go back to")
        self._jobs.serving(name, record.num_chunks)
        message = f"the index of {record.updated_at:%Y-%m-%d %H:%M:%S} UTC is served again"
        return wire.RolledBack(status="rolled_back", message=message, index=info(record))

    async def delete(
        self, asked: str | None = None, also: Callable[[], Awaitable[None]] | None = None
    ) -> wire.IndexDeleted:
        """
        And do `also` that before any build may begin.

        Raises BuildRunning: what a build is about to publish cannot be deleted yet.
        """
        name = collection(asked)
        passages = await self._collections.open(name)
        if not await self._jobs.change(name, self._deleted(name, passages, also)):
            return wire.IndexDeleted(status="not_found", message="there is no index")
        self._jobs.serving(name, 0)
        return wire.IndexDeleted(status="deleted", message="the index is deleted")

    async def refresh(self) -> None:
        """Bring each index up to date with its folder and uploads, or make a first one; in the background at start."""
        found = {*await self._collections.names(), *await self._sources.uploaded(), names.DOCS_COLLECTION}
        for name in sorted(found):
            record = await (await self._collections.open(name)).record()
            if record is not None:
                self._jobs.serving(name, record.num_chunks)
        for name in sorted(found):
            await self.renew(name)

    async def renew(self, name: str) -> wire.Built | None:
        """
        Bring the index up to date, by a build that begins after now; None when there is nothing to make it of.

        What goes wrong is logged, and in the status; where something was away, it is tried again until that is back.
        Another process that builds it is waited for a while; then that too is tried again later.
        """
        for _ in range(_TRIES):
            job = await self._renewing(name)
            if job is None or not is_elsewhere(job):
                break
            await asyncio.sleep(self._pause)
        if job is None:
            return None
        error = None if job.task.cancelled() else job.task.exception()
        if isinstance(error, Unavailable) or is_elsewhere(job):
            self._try_later(name)
        else:
            self._pauses.pop(name, None)
        return None if error or job.task.cancelled() else await _outcome(job)

    async def _renewing(self, name: str) -> Job | None:
        """A build that has ended, begun after now."""
        while True:
            await self._jobs.free(name)
            try:
                job = self._jobs.start(await self._wanted(name, None, force=False, stay=True))
            except Conflict:  # somebody was faster
                continue
            except SageError as error:
                log.warning("not indexed", extra={"collection": name, "reason": error.message})
                if isinstance(error, Unavailable):
                    self._try_later(name)
                return None
            await asyncio.wait([job.task])
            return job

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

    def touch(self, name: str) -> None:
        """
        Bring the index up to date soon; asked for again before that has begun, it is done once.

        What failed before is not told any more: it is tried again.
        """
        self._jobs.forget(name)
        if name not in self._touched:
            self._touched.add(name)
            self._later(self._renew_touched(name))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._jobs.close()

    async def _elsewhere(self, name: str) -> Holder | None:
        """Which other process builds it, if one does."""
        holder = await self._collections.holder(name)
        return holder if holder is not None and holder.job is not None else None

    async def _events(self, name: str) -> AsyncGenerator[wire.BuildEvent]:
        told: wire.Job | None = None
        with suppress(StoreUnavailable):  # then what is known here is told
            while self._jobs.running(name) is None and (elsewhere := await self._elsewhere(name)) is not None:
                if elsewhere.job != told:
                    told = elsewhere.job
                    yield wire.BuildEvent(event="progress", job=told)
                await asyncio.sleep(_LOOK_SECONDS)
        if told is not None and self._jobs.running(name) is None:
            yield wire.BuildEvent(event="idle")
            return
        async with aclosing(self._jobs.events(name)) as events:
            async for event in events:
                yield event

    async def _renew_touched(self, name: str) -> None:
        await self._jobs.free(name)
        if name in self._touched:
            self._touched.discard(name)
            await self.renew(name)

    async def _remove(self, name: str, path: str) -> None:
        passages = await self._collections.open(name)
        await self._jobs.free(name)
        if await self._jobs.change(name, removing.taken_out(passages, path, self._clock.utc())):
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

    def _try_later(self, name: str) -> None:
        if name not in self._waiting:
            self._waiting.add(name)
            pause = 2 * self._pauses[name] if name in self._pauses else self._pause
            self._pauses[name] = pause = min(pause, _LONGEST_PAUSE)
            self._later(self._try_again(name, pause))

    async def _try_again(self, name: str, pause: float) -> None:
        await asyncio.sleep(pause)
        self._waiting.discard(name)
        if name in self._pauses:
            await self.renew(name)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wanted(self, name: str, source_dir: str | None, *, force: bool, stay: bool) -> Wanted:
        record = await (await self._collections.open(name)).record()
        folder = await self._sources.open(name, source_dir, record, stay=stay)
        kept = record is not None and record.chosen and record.source_dir == folder.path
        chosen = bool(source_dir) or (stay and kept) or (name != names.DOCS_COLLECTION and bool(folder.path))
        return Wanted(name, folder, chosen=chosen, force=force)

    async def _planned(self, wanted: Wanted) -> wire.Built:
        passages = await self._collections.open(wanted.collection)
        survey = await self._building.survey(passages, wanted, Progress())
        plan = estimating.told(survey, await passages.record())
        return wire.Built(status="planned", message=estimating.summary(plan), plan=plan)

    async def _deleted(self, name: str, passages: Passages, also: Callable[[], Awaitable[None]] | None) -> bool:
        """With what was to be built of it later."""
        deleted = await passages.delete()
        if also is not None:
            await also()
        self._pauses.pop(name, None)
        self._touched.discard(name)
        return deleted

    async def _rolled_back(self, passages: Passages) -> bool:
        earlier = await passages.earlier()
        if earlier is None:
            raise NoEarlierIndex("there is no index to go back to")
        if earlier.fingerprint != self._building.fingerprint:
            raise IndexMismatch(f"the earlier index was made by another encoder or version: {earlier.encoder}")
        return await passages.rollback() is not None


async def _outcome(job: Job) -> wire.Built:
    try:
        outcome = await asyncio.shield(job.task)
    except asyncio.CancelledError as error:
        if job.progress.cancelled:
            raise Conflict("the build was broken off") from error
        if job.task.cancelled():
            raise Unavailable("the service is stopping", retry_after=_RETRY_SECONDS) from error
        raise
    return wire.Built(status=outcome.status, message=outcome.message, index=info(outcome.record))


def collection(asked: str | None) -> str:
    """Raises InvalidRequest for what cannot be a collection's name."""
    return names.collection(asked) if asked else names.DOCS_COLLECTION
