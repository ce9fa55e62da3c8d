"""What may be asked of indexes: to be built, told of, rolled back, deleted; searches go on meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from rag_indexer.domain import estimating
from rag_indexer.domain.building import Building, Wanted
from rag_indexer.domain.jobs import Jobs, outcome
from rag_indexer.domain.ports import Collections, Holder, Passages
from rag_indexer.domain.progress import Progress
from rag_indexer.domain.records import info
from rag_indexer.domain.renewals import Renewals
from rag_indexer.domain.sources import Sources
from sage_contracts import index as wire
from sage_contracts import names
from sage_contracts.errors import BuildRunning, IndexMismatch, NoEarlierIndex, StoreUnavailable

_LOOK_SECONDS = 1.0
"""Between two looks at what another process builds."""


class Builds:
    """One build at a time of each collection."""

    def __init__(
        self, *, jobs: Jobs, renewals: Renewals, collections: Collections, sources: Sources, building: Building
    ) -> None:
        self._jobs = jobs
        self._renewals = renewals
        self._collections = collections
        self._sources = sources
        self._building = building

    async def build(self, request: wire.BuildRequest) -> wire.Built:
        """
        Start a build and wait for it, or not.

        Raises SourceRefused for a folder that may not be indexed, BuildRunning, and, waiting, what the build failed
        with. A caller who leaves does not stop it.
        """
        name = collection(request.collection)
        if not request.dry_run:
            self._jobs.refuse_if_running(name)
        record = await (await self._collections.open(name)).record()
        wanted = await self._sources.wanted(name, request.source_dir, record, force=request.force_rebuild, stay=False)
        if request.dry_run:
            return await self._planned(wanted)
        job = self._jobs.start(wanted)
        if request.wait:
            return await outcome(job)
        held = asyncio.create_task(job.progress.held.wait())
        await asyncio.wait({held, job.task}, return_when=asyncio.FIRST_COMPLETED)
        held.cancel()
        if not job.progress.held.is_set():
            return await outcome(job)  # it could not begin, and says why
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
        """
        Whether a change of this folder is one of the index: no more once that is deleted, or made of another one.

        Of an index that could not be made of it yet, too, for as long as nothing else has become of that.
        """
        if self._jobs.source_dir(name) == path:
            return True
        record = await (await self._collections.open(name)).record()  # a build of another one may come to nothing
        failed = self._jobs.failed(name, record)
        return (record is not None and record.source_dir == path) or (failed is not None and failed.source_dir == path)

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

    async def close(self) -> None:
        self._renewals.close()
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
        self._renewals.forget(name)
        return deleted

    async def _rolled_back(self, passages: Passages) -> bool:
        earlier = await passages.earlier()
        if earlier is None:
            raise NoEarlierIndex("there is no index to go back to")
        if earlier.fingerprint != self._building.fingerprint:
            raise IndexMismatch(f"the earlier index was made by another encoder or version: {earlier.encoder}")
        return await passages.rollback() is not None


def collection(asked: str | None) -> str:
    """Raises InvalidRequest for what cannot be a collection's name."""
    return names.collection(asked) if asked else names.DOCS_COLLECTION
