"""The lease that keeps two rag-indexers on one Qdrant server apart."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException

from rag_indexer.adapters.qdrant_lease import LEASES, QdrantLeases
from sage_contracts.errors import BuildRunning


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
    one, other = QdrantLeases(client), QdrantLeases(client)
    async with one.hold("docs"):
        with pytest.raises(BuildRunning, match="another rag-indexer is changing the collection docs"):
            async with other.hold("docs"):
                pass
        async with other.hold("handbook"):
            pass
    async with other.hold("docs") as lost:
        assert not lost.is_set()

    assert (await client.count(LEASES)).count == 0


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


async def test_a_server_that_is_away_for_a_moment_costs_nothing(client: Shaky) -> None:
    clock = Clock()
    async with QdrantLeases(client, seconds=0.08, clock=clock).hold("docs") as lost:
        client.away = True
        await asyncio.sleep(0.05)
        client.away = False
        await asyncio.sleep(0.05)

        assert not lost.is_set()
