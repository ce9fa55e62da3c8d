"""The lease that keeps two rag-indexers on one Qdrant server apart."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException

from rag_indexer.adapters.qdrant_lease import LEASES, QdrantLeases, _id
from rag_indexer.domain.ports import Holder
from sage_contracts.errors import BuildRunning, StoreUnavailable
from sage_contracts.index import Job


class Shaky(AsyncQdrantClient):
    """In memory; out of reach while it is told to be. `upserts` are counted."""

    away = False
    upserts = 0

    async def upsert(self, *args: Any, **kwargs: Any) -> models.UpdateResult:
        if self.away:
            raise ResponseHandlingException(ConnectionError("away"))
        self.upserts += 1
        return await super().upsert(*args, **kwargs)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def client() -> AsyncGenerator[Shaky]:
    found = Shaky(":memory:")
    yield found
    await found.close()


async def test_a_lease_is_held_by_one_and_free_again_after(client: Shaky) -> None:
    one, other = QdrantLeases(client, by="one", clock=Clock()), QdrantLeases(client, clock=Clock())
    async with one.hold("docs"):
        told = "^the index is being changed by one, another rag-indexer, since 1970-01-01 00:16:40 UTC$"
        with pytest.raises(BuildRunning, match=told):
            async with other.hold("docs"):
                pass
        async with other.hold("handbook"):
            pass
    async with other.hold("docs") as lost:
        assert not lost.is_set()

    assert (await client.count(LEASES)).count == 0


@pytest.mark.slow
async def test_others_are_told_of_the_build_it_is_held_for(client: Shaky) -> None:
    jobs = [Job(id="b", done=done, total=9, stage="indexing") for done in (1, 2)]
    clock = Clock()
    one, other = (QdrantLeases(client, by=by, seconds=0.2, clock=clock) for by in ("one", "other"))
    before = await other.holder("docs")
    async with one.hold("docs", lambda: jobs[0]):
        first = await other.holder("docs")
        told = "^build b is under way in one, another rag-indexer, since .* UTC: indexing, 1 of 9 files$"
        with pytest.raises(BuildRunning, match=told):
            async with other.hold("docs"):
                pass
        del jobs[0]
        async with asyncio.timeout(30):
            while (await other.holder("docs")) == first:
                await asyncio.sleep(0.01)
        second = await other.holder("docs")
        clock.now += 1
        dead = await other.holder("docs")

    since = datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)
    assert (before, dead, await other.holder("docs")) == (None, None, None)
    assert (first, second) == tuple(
        Holder("one", since, Job(id="b", done=done, total=9, stage="indexing")) for done in (1, 2)
    )


async def test_the_stage_of_a_build_in_a_later_version_is_told_as_one_that_is_known(client: Shaky) -> None:
    await client.create_collection(LEASES, vectors_config={})
    job = {"id": "b", "done": 1, "total": 9, "stage": "polishing", "eta_seconds": 1.5, "chunks": 3, "polished": 7}
    payload = {"name": "docs", "holder": "x", "expires": 9e9, "by": "later", "since": 0.0, "job": job, "more": True}
    await client.upsert(LEASES, [models.PointStruct(id=_id("docs"), vector={}, payload=payload)])
    told = await QdrantLeases(client).holder("docs")

    assert told is not None
    assert told.job == Job(id="b", done=1, total=9, stage="indexing", eta_seconds=1.5, chunks=3)
    with pytest.raises(BuildRunning, match=r"^build b is under way in later, .*: indexing, 1 of 9 files$"):
        async with QdrantLeases(client).hold("docs"):
            pass


class Released(AsyncQdrantClient):
    """In memory; what stands in the way of an upsert is gone when it is looked for."""

    async def retrieve(self, *args: Any, **kwargs: Any) -> list[models.Record]:
        found = await super().retrieve(*args, **kwargs)
        if (found[0].payload or {})["by"] == "one":
            await super().delete(LEASES, models.PointIdsList(points=[found[0].id]))
            return []
        return found


async def test_a_lease_that_is_given_back_while_it_is_asked_for_is_taken() -> None:
    client = Released(":memory:")
    await client.create_collection(LEASES, vectors_config={})
    payload = {"name": "docs", "holder": "x", "expires": 9e9, "by": "one"}
    await client.upsert(LEASES, [models.PointStruct(id=_id("docs"), vector={}, payload=payload)])
    async with QdrantLeases(client).hold("docs") as lost:
        assert not lost.is_set()
    await client.close()


class Slow(AsyncQdrantClient):
    """In memory; whoever asks for a point waits for ever."""

    async def retrieve(self, *args: Any, **kwargs: Any) -> list[models.Record]:
        return await asyncio.Future()


async def test_a_lease_that_nobody_waits_for_any_more_is_given_back() -> None:
    client = Slow(":memory:")
    taking = asyncio.create_task(QdrantLeases(client).hold("docs").__aenter__())
    async with asyncio.timeout(30):
        while not (await client.collection_exists(LEASES) and (await client.count(LEASES)).count):
            await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])

    assert (await client.count(LEASES)).count == 0
    await client.close()


class Hung(AsyncQdrantClient):
    """In memory; nothing is answered from the `first` call on."""

    def __init__(self, first: str) -> None:
        super().__init__(":memory:")
        self._first = first
        self._hangs = False

    async def _answer(self, call: str) -> None:
        self._hangs = self._hangs or call == self._first
        if self._hangs:
            await asyncio.Future()

    async def collection_exists(self, *args: Any, **kwargs: Any) -> bool:
        await self._answer("exists")
        return await super().collection_exists(*args, **kwargs)

    async def upsert(self, *args: Any, **kwargs: Any) -> models.UpdateResult:
        await self._answer("upsert")
        return await super().upsert(*args, **kwargs)

    async def retrieve(self, *args: Any, **kwargs: Any) -> list[models.Record]:
        await self._answer("retrieve")
        return await super().retrieve(*args, **kwargs)

    async def delete(self, *args: Any, **kwargs: Any) -> models.UpdateResult:
        await self._answer("delete")
        return await super().delete(*args, **kwargs)


@pytest.mark.parametrize("first", ["exists", "upsert", "retrieve"])
async def test_a_server_that_hangs_while_a_lease_is_taken_is_waited_for_once(first: str) -> None:
    client = Hung(first)
    async with asyncio.timeout(30):
        with pytest.raises(StoreUnavailable, match="Qdrant does not answer"):
            async with QdrantLeases(client, patience=0.05).hold("docs"):
                pass
    await client.close()


async def test_of_many_at_once_one_has_it(client: Shaky) -> None:
    async def held() -> bool:
        try:
            async with QdrantLeases(client).hold("docs"):
                await asyncio.sleep(0.01)
        except BuildRunning:
            return False
        return True

    assert sum(await asyncio.gather(*(held() for _ in range(8)))) == 1


async def test_a_holder_that_died_is_waited_for_only_so_long(client: Shaky) -> None:
    clock = Clock()
    dead = QdrantLeases(client, seconds=30, clock=clock).hold("docs")
    await dead.__aenter__()
    clock.now += 29
    with pytest.raises(BuildRunning):
        async with QdrantLeases(client, seconds=30, clock=clock).hold("docs"):
            pass
    clock.now += 2
    async with QdrantLeases(client, seconds=30, clock=clock).hold("docs") as lost:
        assert not lost.is_set()
    await dead.__aexit__(None, None, None)


async def test_a_lease_is_renewed_for_as_long_as_it_is_held(client: Shaky) -> None:
    clock = Clock()
    async with QdrantLeases(client, seconds=0.2, clock=clock).hold("docs") as lost, asyncio.timeout(30):
        for _ in range(3):
            clock.now += 0.15
            seen = client.upserts
            while client.upserts == seen:
                await asyncio.sleep(0.01)
        with pytest.raises(BuildRunning):
            async with QdrantLeases(client, seconds=0.2, clock=clock).hold("docs"):
                pass

        assert not lost.is_set()


async def test_a_holder_learns_that_another_has_taken_over(client: Shaky) -> None:
    clock = Clock()
    async with QdrantLeases(client, seconds=0.1, clock=clock).hold("docs") as lost:
        clock.now += 1
        async with QdrantLeases(client, seconds=100, clock=clock).hold("docs") as other, asyncio.timeout(30):
            await lost.wait()

            assert not other.is_set()


async def test_a_holder_that_cannot_reach_the_server_gives_up_in_time(client: Shaky) -> None:
    async with QdrantLeases(client, seconds=0.2).hold("docs") as lost:
        client.away = True
        async with asyncio.timeout(30):
            await lost.wait()
        client.away = False


async def test_a_lease_that_fails_to_be_renewed_for_whatever_reason_is_lost(client: Shaky) -> None:
    calls = iter([None])  # and then no more
    async with QdrantLeases(client, seconds=0.1).hold("docs", lambda: next(calls)) as lost, asyncio.timeout(30):
        await lost.wait()


async def test_a_server_that_is_away_for_a_moment_costs_nothing(client: Shaky) -> None:
    clock = Clock()
    async with QdrantLeases(client, seconds=0.08, clock=clock).hold("docs") as lost:
        client.away = True
        await asyncio.sleep(0.05)
        client.away = False
        await asyncio.sleep(0.05)

        assert not lost.is_set()
