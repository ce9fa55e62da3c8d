"""The right to change a collection, as a point in Qdrant that expires unless its holder renews it."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_indexer.adapters.qdrant_points import answered
from sage_contracts.errors import BuildRunning, StoreUnavailable

log = logging.getLogger(__name__)

LEASES = "sage@leases"
"""No name of a collection of ours has that mark."""
SECONDS = 30.0
"""After that long without word from its holder a lease is free. The clocks of all must agree to a few seconds."""
_IDS = uuid.UUID("2f0d7c0e-8a57-4f9d-9f7e-3b1b3f1f4a52")


class QdrantLeases:
    """
    An upsert with a condition is what makes it sound: Qdrant applies writes to a point one after the other, and one
    whose condition does not hold changes nothing. It wants Qdrant 1.16 or newer.
    """

    def __init__(
        self, client: AsyncQdrantClient, *, seconds: float = SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._clock = clock

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[asyncio.Event]:
        """The event is set when the lease is lost. Raises BuildRunning, and StoreUnavailable."""
        holder = uuid.uuid4().hex
        async with answered():
            await self._prepare()
            if not await self._taken(name, holder):
                raise BuildRunning(f"another rag-indexer is changing the collection {name}")
        lost = asyncio.Event()
        renewing = asyncio.create_task(self._renew(name, holder, lost))
        try:
            yield lost
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            with suppress(StoreUnavailable):  # it expires by itself
                await self._release(name, holder)

    async def _prepare(self) -> None:
        if await self._client.collection_exists(LEASES):
            return
        try:
            await self._client.create_collection(LEASES, vectors_config={})
        except (UnexpectedResponse, ValueError):  # another was faster
            if not await self._client.collection_exists(LEASES):
                raise

    async def _taken(self, name: str, holder: str) -> bool:
        now = self._clock()
        point = models.PointStruct(
            id=_id(name), vector={}, payload={"name": name, "holder": holder, "expires": now + self._seconds}
        )
        free = models.Filter(
            should=[
                models.FieldCondition(key="holder", match=models.MatchValue(value=holder)),
                models.FieldCondition(key="expires", range=models.Range(lt=now)),
            ]
        )
        await self._client.upsert(LEASES, [point], wait=True, update_filter=free)
        (found,) = await self._client.retrieve(LEASES, [_id(name)], with_payload=True)
        return (found.payload or {}).get("holder") == holder

    async def _renew(self, name: str, holder: str, lost: asyncio.Event) -> None:
        """A lease that cannot be renewed counts as lost a little before others may take it."""
        good_until = self._clock() + self._seconds * 0.8
        while True:
            await asyncio.sleep(self._seconds / 4)
            try:
                async with answered():
                    held = await self._taken(name, holder)
            except StoreUnavailable as error:
                log.warning("lease not renewed", extra={"collection": name, "reason": error.message})
                if self._clock() < good_until:
                    continue
                held = False
            if not held:
                lost.set()
                return
            good_until = self._clock() + self._seconds * 0.8

    async def _release(self, name: str, holder: str) -> None:
        mine = models.Filter(
            must=[
                models.HasIdCondition(has_id=[_id(name)]),
                models.FieldCondition(key="holder", match=models.MatchValue(value=holder)),
            ]
        )
        async with answered():
            await self._client.delete(LEASES, models.FilterSelector(filter=mine), wait=True)


def _id(name: str) -> str:
    return str(uuid.uuid5(_IDS, name))
