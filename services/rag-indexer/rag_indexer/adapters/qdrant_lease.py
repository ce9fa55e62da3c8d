"""The right to change a collection, as a point in Qdrant that expires unless its holder renews it."""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
from msgspec import Struct
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_indexer.adapters.qdrant_points import answered
from rag_indexer.domain.ports import Holder, no_build
from sage_contracts.errors import BuildRunning, StoreUnavailable
from sage_contracts.index import Job, Stage

log = logging.getLogger(__name__)

LEASES = "sage@leases"
"""No name of a collection of ours has that mark."""
SECONDS = 30.0
"""After that long without word from its holder a lease is free. The clocks of all must agree to a few seconds."""
PATIENCE_SECONDS = 10.0
_IDS = uuid.UUID("2f0d7c0e-8a57-4f9d-9f7e-3b1b3f1f4a52")


class _Lease(Struct, frozen=True, kw_only=True):
    """
    What the point says: `holder` made it, for as long as `expires` is to come. Times are unix seconds.

    The rest is for people: `by` whom, `since` when, and for which build; absent of an earlier version's.
    """

    name: str
    holder: str
    expires: float
    by: str = "somebody"
    since: float = 0.0
    job: dict[str, Any] | None = None

    @property
    def told(self) -> Holder:
        return Holder(self.by, datetime.fromtimestamp(self.since, UTC), _told(self.job))


class QdrantLeases:
    """
    An upsert with a condition is what makes it sound: Qdrant applies writes to a point one after the other, and one
    whose condition does not hold changes nothing. It wants Qdrant 1.16 or newer.

    `patience` is how many seconds taking one may last in all.
    """

    def __init__(
        self,
        client: AsyncQdrantClient,
        *,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.time,
        by: str = f"{socket.gethostname()}/{os.getpid()}",
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._clock = clock
        self._by = by
        self._patience = patience

    @asynccontextmanager
    async def hold(self, name: str, job: Callable[[], Job | None] = no_build) -> AsyncGenerator[asyncio.Event]:
        """The event is set when the lease is lost. Raises BuildRunning, and StoreUnavailable."""
        holder, since = uuid.uuid4().hex, self._clock()

        def wanted() -> _Lease:
            expires = self._clock() + self._seconds
            told = msgspec.to_builtins(job())
            return _Lease(name=name, holder=holder, expires=expires, by=self._by, since=since, job=told)

        deadline = asyncio.get_running_loop().time() + self._patience
        try:
            async with _answered_by(deadline):
                await self._prepare()
                found = await self._taken(wanted())
        except BaseException:  # also of one that nobody waits for any more, and so does not know whether it was taken
            with suppress(StoreUnavailable):  # it expires by itself
                async with _answered_by(deadline):
                    await self._release(name, holder)
            raise
        if found.holder != holder:
            raise BuildRunning(found.told.message)
        try:
            async with self._renewed(wanted) as lost:
                yield lost
        finally:
            with suppress(StoreUnavailable):  # it expires by itself
                await self._release(name, holder)

    async def holder(self, name: str) -> Holder | None:
        """Who has the lease now. Raises StoreUnavailable."""
        async with answered():
            if not await self._client.collection_exists(LEASES):
                return None
            found = await self._found(name)
        return found.told if found is not None and found.expires > self._clock() else None

    async def _prepare(self) -> None:
        if await self._client.collection_exists(LEASES):
            return
        try:
            await self._client.create_collection(LEASES, vectors_config={})
        except (UnexpectedResponse, ValueError):  # another was faster
            if not await self._client.collection_exists(LEASES):
                raise

    async def _taken(self, wanted: _Lease) -> _Lease:
        """Who has it then."""
        point = models.PointStruct(id=_id(wanted.name), vector={}, payload=msgspec.to_builtins(wanted))
        free = models.Filter(
            should=[
                models.FieldCondition(key="holder", match=models.MatchValue(value=wanted.holder)),
                models.FieldCondition(key="expires", range=models.Range(lt=self._clock())),
            ]
        )
        while True:
            await self._client.upsert(LEASES, [point], wait=True, update_filter=free)
            if (found := await self._found(wanted.name)) is not None:  # else it was given back just now
                return found

    async def _found(self, name: str) -> _Lease | None:
        found = await self._client.retrieve(LEASES, [_id(name)], with_payload=True)
        return msgspec.convert(found[0].payload, _Lease) if found else None

    @asynccontextmanager
    async def _renewed(self, wanted: Callable[[], _Lease]) -> AsyncGenerator[asyncio.Event]:
        lost = asyncio.Event()
        renewing = asyncio.create_task(self._renew(wanted))
        renewing.add_done_callback(lambda task: None if task.cancelled() else lost.set())
        try:
            yield lost
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _renew(self, wanted: Callable[[], _Lease]) -> None:
        """Until it is lost; one that cannot be renewed counts as lost a little before others may take it."""
        good_until = self._clock() + self._seconds * 0.8
        while True:
            await asyncio.sleep(self._seconds / 4)
            asked = wanted()
            try:
                async with answered():
                    found = await self._taken(asked)
            except StoreUnavailable as error:
                log.warning("lease not renewed", extra={"collection": asked.name, "reason": error.message})
                if self._clock() >= good_until:
                    return
                continue
            if found.holder != asked.holder:
                return
            good_until = asked.expires - self._seconds * 0.2

    async def _release(self, name: str, holder: str) -> None:
        mine = models.Filter(
            must=[
                models.HasIdCondition(has_id=[_id(name)]),
                models.FieldCondition(key="holder", match=models.MatchValue(value=holder)),
            ]
        )
        async with answered():
            await self._client.delete(LEASES, models.FilterSelector(filter=mine), wait=True)


@asynccontextmanager
async def _answered_by(deadline: float) -> AsyncGenerator[None]:
    """As `answered`; what is not done by then, in the loop's time, is a failure too."""
    try:
        async with asyncio.timeout_at(deadline), answered():
            yield
    except TimeoutError as error:
        raise StoreUnavailable("Qdrant does not answer", retry_after=1) from error


def _told(job: dict[str, Any] | None) -> Job | None:
    """A build as a later version may tell it: in a stage that has no name here yet it is in the midst of its work."""
    if job is not None and job.get("stage") not in get_args(Stage):
        job = {**job, "stage": "indexing"}
    return msgspec.convert(job, Job | None)


def _id(name: str) -> str:
    return str(uuid.uuid5(_IDS, name))
