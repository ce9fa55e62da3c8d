"""Which build runs, what became of the last one, and what the index is now."""

import asyncio
import logging

from rag_indexer.domain.building import Building, Clock, Outcome
from rag_indexer.domain.ports import Counts, Folder, Folders, Passages, Record
from rag_indexer.domain.progress import Progress
from sage_contracts import index as wire
from sage_contracts.errors import BuildRunning, Conflict, SageError, SourceRefused, Unavailable

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class Builds:
    """One build at a time; searches and the status answer meanwhile."""

    def __init__(
        self,
        *,
        passages: Passages,
        folders: Folders,
        building: Building,
        default_source: str | None,
        clock: Clock,
        counts: Counts,
    ) -> None:
        self._passages = passages
        self._folders = folders
        self._building = building
        self._default_source = default_source
        self._clock = clock
        self._counts = counts
        self._running: tuple[Progress, asyncio.Task[Outcome]] | None = None
        self._deleting = False
        self._error: str | None = None

    async def build(self, request: wire.BuildRequest) -> wire.Built:
        """
        Start a build and wait for it, or not.

        Raises SourceRefused for a folder that may not be indexed, BuildRunning, and, waiting, what the build failed
        with. A caller who leaves does not stop it.
        """
        self._refuse_if_running()
        chosen = bool(request.source_dir)
        source = request.source_dir or self._default_source
        if not source:
            raise SourceRefused("no folder is configured: name one in source_dir", param="source_dir")
        # No await between the check above and the start below: two requests at once must not start two builds.
        progress, task = self._start(self._folders.open(source), chosen=chosen, force=request.force_rebuild)
        if not request.wait:
            job = progress.job(self._clock.monotonic())
            return wire.Built(status="building", message=f"indexing {source}", job=job)
        try:
            outcome = await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise Unavailable("the service is stopping", retry_after=_RETRY_SECONDS) from error
            raise
        return wire.Built(status=outcome.status, message=outcome.message, index=info(outcome.record))

    async def status(self) -> wire.IndexStatus:
        record = await self._passages.record()
        index = None if record is None else info(record)
        if self._running is not None:
            job = self._running[0].job(self._clock.monotonic())
            return wire.IndexStatus(status="building", index=index, job=job)
        if self._error is not None:
            return wire.IndexStatus(status="failed", index=index, error=self._error)
        return wire.IndexStatus(status="not_found" if index is None else "ready", index=index)

    async def delete(self) -> wire.IndexDeleted:
        """Raises BuildRunning: what a build is about to publish cannot be deleted yet."""
        self._refuse_if_running()
        self._deleting = True
        try:
            existed = await self._passages.delete()
        finally:
            self._deleting = False
        self._error = None
        if not existed:
            return wire.IndexDeleted(status="not_found", message="there is no index")
        self._counts.serving(0)
        return wire.IndexDeleted(status="deleted", message="the index is deleted")

    async def refresh(self) -> None:
        """Bring the index up to date with its folder, or make a first one; done in the background at start."""
        record = await self._passages.record()
        if record is not None:
            self._counts.serving(record.num_chunks)
        # A folder that a user has asked for stays; the configured one may be another one than last time.
        chosen = record is not None and record.chosen
        source = record.source_dir if record and chosen else self._default_source
        if not source or self._running is not None or self._deleting:
            return
        try:
            folder = self._folders.open(source)
        except SourceRefused as error:
            log.warning("folder not indexed", extra={"source_dir": source, "reason": error.message})
            return
        self._start(folder, chosen=chosen, force=False)

    async def close(self) -> None:
        """Give up a build under way; the index that was there stays."""
        if self._running is not None:
            task = self._running[1]
            task.cancel()
            await asyncio.wait([task])

    def _refuse_if_running(self) -> None:
        if self._deleting:
            raise Conflict("the index is being deleted")
        if self._running is not None:
            job = self._running[0].job(self._clock.monotonic())
            raise BuildRunning(f"build {job.id} is under way: {job.stage}, {job.done} of {job.total} files")

    def _start(self, folder: Folder, *, chosen: bool, force: bool) -> tuple[Progress, asyncio.Task[Outcome]]:
        progress = Progress()
        task = asyncio.create_task(self._building.run(folder, chosen=chosen, force=force, progress=progress))
        self._running = progress, task
        self._error = None
        began = self._clock.monotonic()
        log.info("build started", extra={"build": progress.id, "source_dir": folder.path, "force": force})
        task.add_done_callback(lambda ended: self._ended(ended, progress, self._clock.monotonic() - began))
        return progress, task

    def _ended(self, task: asyncio.Task[Outcome], progress: Progress, seconds: float) -> None:
        self._running = None
        fields = {"build": progress.id, "seconds": round(seconds, 3)}
        if task.cancelled():
            self._counts.built("cancelled", seconds)
            log.warning("build cancelled", extra=fields)
            return
        if (error := task.exception()) is not None:
            self._error = error.message if isinstance(error, SageError) else f"internal error: {type(error).__name__}"
            self._counts.built("failed", seconds)
            log.error("build failed", exc_info=error, extra=fields)
            return
        outcome = task.result()
        self._counts.built(outcome.status, seconds)
        self._counts.serving(outcome.record.num_chunks)
        chunks, skipped = outcome.record.num_chunks, len(outcome.record.skipped)
        log.info("build finished", extra={**fields, "outcome": outcome.status, "chunks": chunks, "skipped": skipped})


def info(record: Record) -> wire.IndexInfo:
    return wire.IndexInfo(
        num_documents=record.num_documents,
        num_chunks=record.num_chunks,
        created_at=record.created_at,
        updated_at=record.updated_at,
        embedding=wire.Embedding(encoder=record.encoder, dimensions=record.dimensions),
        source_dir=record.source_dir,
        skipped=record.skipped,
    )
