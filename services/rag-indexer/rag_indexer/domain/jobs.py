"""The builds that run in this process: at most one a collection, each to be watched, waited for and broken off."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from typing import Any

from rag_indexer.domain.building import Building, Clock, Outcome, Wanted
from rag_indexer.domain.ports import Collections, Counts, Record
from rag_indexer.domain.progress import PATIENCE_SECONDS, Progress
from rag_indexer.domain.records import info
from sage_contracts import index as wire
from sage_contracts.errors import BuildRunning, Conflict, SageError, StoreUnavailable, Unavailable

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
EVENT_SECONDS = 0.25
"""At most between a step of a build and the frame that tells of it."""


@dataclass(frozen=True, slots=True)
class Job:
    wanted: Wanted
    progress: Progress
    task: asyncio.Task[Outcome]

    @property
    def collection(self) -> str:
        return self.wanted.collection


@dataclass(frozen=True, slots=True)
class Failed:
    """
    A build that failed, in what is wanted of it later: not its folder, with which all that reads it would stay.

    `before` is the folder of the index that there was, `chosen` when a request named its own.
    """

    source_dir: str
    chosen: bool
    before: str | None


class Jobs:
    """`patience` is for how many seconds nothing may come of a build before that is told."""

    def __init__(
        self,
        collections: Collections,
        building: Building,
        clock: Clock,
        counts: Counts,
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._collections = collections
        self._building = building
        self._clock = clock
        self._counts = counts
        self._patience = patience
        self._running: dict[str, Job] = {}
        self._changes: dict[str, asyncio.Task[bool]] = {}
        self._ends: dict[str, wire.BuildEvent] = {}
        self._failed: dict[str, Failed] = {}
        self._served: dict[str, int] = {}

    def names(self) -> list[str]:
        return list(self._running)

    def running(self, collection: str) -> wire.Job | None:
        job = self._running.get(collection)
        return job.progress.job(self._clock.monotonic()) if job else None

    def advances(self, collection: str) -> bool:
        """Whether a build of it runs, and something comes of it."""
        job = self._running.get(collection)
        return job is not None and not job.progress.stalled

    def source_dir(self, collection: str) -> str | None:
        """Of the build that runs."""
        job = self._running.get(collection)
        return job.wanted.folder.path if job else None

    def error(self, collection: str) -> str | None:
        """Why the last build failed, if it did."""
        end = self._ends.get(collection)
        return end.message if end is not None and end.event == "failed" else None

    def failed(self, collection: str, record: Record | None) -> Failed | None:
        """
        The last build that ended here, if it failed, and nothing else has become of the index since.

        `record` is the index as it is now. `forget` leaves that.
        """
        failed, now = self._failed.get(collection), None if record is None else record.source_dir
        return failed if failed is not None and failed.before == now else None

    def fail(self, collection: str, message: str) -> None:
        """Tell why no build could begin, as of one that failed."""
        self._ends[collection] = wire.BuildEvent(event="failed", message=message)

    def forget(self, collection: str) -> None:
        """How the last build ended."""
        self._ends.pop(collection, None)

    def start(self, wanted: Wanted) -> Job:
        """Raises BuildRunning. Nothing is awaited, so that of two that are asked for at once one starts."""
        self.refuse_if_running(wanted.collection)
        progress = Progress()
        job = Job(wanted, progress, asyncio.create_task(self._run(wanted, progress)))
        self._running[wanted.collection] = job
        self._ends.pop(wanted.collection, None)
        began = self._clock.monotonic()
        fields = {"build": progress.id, "collection": wanted.collection, "source_dir": wanted.folder.path}
        log.info("build started", extra={**fields, "force": wanted.force})
        job.task.add_done_callback(lambda _: self._ended(job, self._clock.monotonic() - began))
        return job

    async def free(self, collection: str) -> None:
        """Return once it is neither built nor changed here."""
        while (task := self._at_work(collection)) is not None:
            await asyncio.wait([task])

    async def cancel(self, collection: str) -> str | None:
        """The id of the build that was broken off, if one ran; it has ended."""
        if (job := self._running.get(collection)) is None:
            return None
        if not job.progress.cancelled:  # once is enough: a second time would break off its tidying up
            job.progress.cancelled = True
            job.task.cancel()
        await asyncio.wait([job.task])
        return job.progress.id

    async def events(self, collection: str) -> AsyncGenerator[wire.BuildEvent]:
        """Steps of the build that runs, then how it ended; of one that has ended that alone."""
        told: wire.Job | None = None
        job = self._running.get(collection)
        while job is not None and not job.task.done():
            now = job.progress.job(self._clock.monotonic())
            if now != told:
                yield wire.BuildEvent(event="progress", job=now)
                told = now
            await asyncio.wait([job.task], timeout=EVENT_SECONDS)
        if job is not None:
            await job.progress.ended.wait()
        yield self._ends.get(collection, wire.BuildEvent(event="idle"))

    def refuse_if_running(self, collection: str) -> None:
        if collection in self._changes:
            raise Conflict(f"the index of {collection} is being changed")
        if (job := self.running(collection)) is not None:
            raise BuildRunning(f"build {job.id} is under way: {job.stage}, {job.done} of {job.total} files")

    async def change(self, collection: str, change: Coroutine[Any, Any, bool]) -> bool:
        """
        What `change` gives, while no build may begin; it is closed unused when one runs. Clears the last failure.

        A caller who leaves does not stop it.
        """
        try:
            self.refuse_if_running(collection)
        except SageError:
            change.close()
            raise
        task = self._changes[collection] = asyncio.create_task(self._changed(collection, change))
        task.add_done_callback(lambda _: self._changes.pop(collection))
        return await asyncio.shield(task)

    def serving(self, collection: str, chunks: int) -> None:
        self._served[collection] = chunks
        self._counts.serving(sum(self._served.values()))

    async def close(self) -> None:
        """Give up the builds that are under way; the indexes that were there stay. Changes are waited for."""
        builds = [job.task for job in self._running.values()]
        for build in builds:
            build.cancel()
        if tasks := {*builds, *self._changes.values()}:
            await asyncio.wait(tasks)

    def _at_work(self, collection: str) -> asyncio.Task[Outcome] | asyncio.Task[bool] | None:
        job = self._running.get(collection)
        return job.task if job else self._changes.get(collection)

    async def _run(self, wanted: Wanted, progress: Progress) -> Outcome:
        def told() -> wire.Job:
            return progress.job(self._clock.monotonic())

        async with self._collections.hold(wanted.collection, told) as lost:
            progress.held.set()
            passages = await self._collections.open(wanted.collection)
            minding = asyncio.create_task(progress.minded(self._patience))
            try:
                return await _unless(lost, self._building.run(passages, wanted, progress))
            finally:
                minding.cancel()

    async def _changed(self, collection: str, change: Coroutine[Any, Any, bool]) -> bool:
        try:
            async with self._collections.hold(collection):
                changed = await change
        finally:
            change.close()
        self._ends.pop(collection, None)
        self._failed.pop(collection, None)
        return changed

    def _ended(self, job: Job, seconds: float) -> None:
        self._running.pop(job.collection, None)
        if is_elsewhere(job):
            log.info("build refused: another rag-indexer builds", extra={"collection": job.collection})
        else:
            end = self._ends[job.collection] = self._told(job, seconds)
            self._failed.pop(job.collection, None)
            if end.event == "failed":
                wanted = job.wanted
                self._failed[job.collection] = Failed(wanted.folder.path, wanted.chosen, wanted.before)
        job.progress.ended.set()

    def _told(self, job: Job, seconds: float) -> wire.BuildEvent:
        fields = {"build": job.progress.id, "collection": job.collection, "seconds": round(seconds, 3)}
        if job.task.cancelled():
            self._counts.built("cancelled", seconds)
            log.warning("build cancelled", extra=fields)
            return wire.BuildEvent(event="cancelled", message="the build was broken off")
        if (error := job.task.exception()) is not None:
            self._counts.built("failed", seconds)
            log.error("build failed", exc_info=error, extra=fields)
            message = error.message if isinstance(error, SageError) else f"internal error: {type(error).__name__}"
            return wire.BuildEvent(event="failed", message=message)
        outcome = job.task.result()
        self._counts.built(outcome.status, seconds)
        self.serving(job.collection, outcome.record.num_chunks)
        chunks, skipped = outcome.record.num_chunks, len(outcome.record.skipped)
        log.info("build finished", extra={**fields, "outcome": outcome.status, "chunks": chunks, "skipped": skipped})
        return wire.BuildEvent(event="done", message=outcome.message, index=info(outcome.record))


def is_elsewhere(job: Job) -> bool:
    """Whether it has ended at once, because another process is changing the collection."""
    return job.task.done() and not job.task.cancelled() and isinstance(job.task.exception(), BuildRunning)


async def outcome(job: Job) -> wire.Built:
    """What the build came to. Raises what it failed with, and Conflict when it was broken off."""
    try:
        ended = await asyncio.shield(job.task)
    except asyncio.CancelledError as error:
        if job.progress.cancelled:
            raise Conflict("the build was broken off") from error
        if job.task.cancelled():
            raise Unavailable("the service is stopping", retry_after=RETRY_SECONDS) from error
        raise
    return wire.Built(status=ended.status, message=ended.message, index=info(ended.record))


async def _unless(lost: asyncio.Event, work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """The work's result; it is broken off when the right to do it is lost."""
    task, loss = asyncio.create_task(work), asyncio.create_task(lost.wait())
    try:
        await asyncio.wait({task, loss}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise StoreUnavailable("another rag-indexer has taken this collection over", retry_after=5)
        return task.result()
    finally:
        loss.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
