"""A disk that is full, a memory that is full: said plainly, nothing half written, read on, and over by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest
from redis.asyncio import Redis

from sage_contracts import sessions as wire
from sage_contracts.errors import StoreFull, StoreUnavailable
from session_store.adapters.redis_erasures import RedisErasures
from session_store.domain.memory.notes import Note
from tests.fakes.redis_server import RedisServer, redis_server, until
from tests.session_store.domain.transfers.test_transfers_formats import OWN
from tests.session_store.parts import Desk, desk_over, exchange, key, redis_client, redis_store

BIG = "x" * 4_096
Change = Callable[[Desk], Awaitable[object]]


def turn(number: int) -> tuple[str, list[wire.NewMessage]]:
    return f"t{number}", exchange(f"{number} {BIG}")


CHANGES: dict[str, Change] = {
    "create": lambda desk: desk.sessions.create("local", wire.NewSession(title="new")),
    "append": lambda desk: desk.told("s1", *turn(99)),
    "append to a new one": lambda desk: desk.told("new", *turn(1)),
    "retitle": lambda desk: desk.sessions.retitle("local", "s1", wire.Retitle(title="other")),
    "fork": lambda desk: desk.branching.fork("local", "s1", wire.Fork(name="b")),
    "facts": lambda desk: desk.store.shelves.add(key(), "facts", [Note(id="f", kind="fact", text="x", at_us=1)]),
    "take in": lambda desk: desk.transfers.take_in("local", OWN | {"id": "taken-in"}),
}


@dataclass
class Scene:
    server: RedisServer
    client: Redis
    desk: Desk

    async def keys(self) -> dict[bytes, object]:
        found = [name async for name in self.client.scan_iter("sage:session:*")]
        return {name: await self.client.dump(name) for name in found}

    def aof_bytes(self) -> int:
        return sum(path.stat().st_size for path in Path(self.server.folder).rglob("*.aof"))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server(fsync="everysec") as own:
        yield own


@pytest.fixture
async def scene(server: RedisServer) -> AsyncIterator[Scene]:
    async with redis_client(server.url) as client:
        desk = desk_over(redis_store(client), ttl_seconds=3_600, owed=RedisErasures(client))
        await desk.told("expired", *turn(0))
        desk.clock.now += 7_200
        for number in range(3):
            await desk.told("s1", *turn(number))
        yield Scene(server, client, desk)


async def filled(scene: Scene) -> int:
    """Turns until the disk is full: how many were acknowledged. The server says so one write late at the earliest."""
    scene.server.limit_files(scene.aof_bytes() + 30_000)
    for number in range(3, 1_000):
        try:
            await scene.desk.told("s1", *turn(number))
        except StoreFull:
            return number
    raise AssertionError("the disk was never full")


async def test_a_full_disk_is_said_and_nothing_is_half_written(scene: Scene) -> None:
    stored = await filled(scene)
    before = await scene.keys()
    refused: dict[str, StoreFull] = {}
    for name, change in CHANGES.items():
        with pytest.raises(StoreFull) as caught:
            await change(scene.desk)
        refused[name] = caught.value

    found = await scene.desk.sessions.read("local", "s1")
    assert await scene.keys() == before
    assert {(error.retry_after, error.message) for error in refused.values()} == {
        (10, "Redis cannot write to its disk, which may be full, and takes nothing new")
    }
    assert len(found.messages) == 2 * stored
    listed = await scene.desk.sessions.page("local", wire.ListQuery(q=BIG[:9]))
    assert [one.id for one in listed.sessions] == ["s1", "expired"]


async def test_a_disk_with_room_again_takes_on_and_keeps_all_that_was_acknowledged(scene: Scene) -> None:
    stored = await filled(scene)
    scene.server.limit_files(-1)

    async def taken() -> bool:
        try:
            await scene.desk.told("s1", *turn(stored))
        except StoreUnavailable:
            return False
        return True

    await eventually(taken)
    await scene.client.execute_command("WAITAOF", 1, 0, 5_000)  # type: ignore[no-untyped-call]
    await scene.server.restart()

    found = await scene.desk.sessions.read("local", "s1")
    assert [one.content for one in found.messages[::2]] == [f"{number} {BIG}" for number in range(stored + 1)]


async def test_a_full_memory_is_said_and_nothing_is_half_written(scene: Scene) -> None:
    before = await scene.keys()
    await scene.client.config_set("maxmemory", 1)
    for change in CHANGES.values():
        with pytest.raises(StoreFull, match="Redis is full: it has reached maxmemory"):
            await change(scene.desk)
    found = await scene.desk.sessions.read("local", "s1")
    await scene.desk.sessions.delete("local", "s1")  # what makes room is let through
    await scene.client.config_set("maxmemory", 0)

    assert len(found.messages) == 6
    assert {name.split(b":")[2] for name in before} == {b"{local/s1}", b"{local/expired}"}
    assert {name.split(b":")[2] for name in await scene.keys()} == {b"{local/expired}"}
    for change in CHANGES.values():
        if change not in {CHANGES["retitle"], CHANGES["fork"]}:
            await change(scene.desk)


async def test_a_client_is_told_with_a_503_and_when_to_come_again(scene: Scene) -> None:
    await scene.client.config_set("maxmemory", 1)
    async with scene.desk.served() as url, aiohttp.ClientSession(url) as http:
        async with http.post("/sessions", data=b"{}") as refused:
            told = (refused.status, refused.headers["retry-after"], (await refused.json())["error"]["code"])
        async with http.post("/sessions/import", data=msgspec.json.encode(OWN)) as refused:
            imported = (refused.status, (await refused.json())["error"]["code"])
        async with http.get("/sessions/s1") as read:
            status = read.status
        async with http.get("/sessions/s1/export") as read:
            exported = read.status

    assert (told, imported, status, exported) == ((503, "10", "store_full"), (503, "store_full"), 200, 200)


async def test_a_disk_that_is_full_when_every_write_is_to_be_kept_ends_the_server_and_loses_nothing() -> None:
    """With appendfsync always it would rather die than acknowledge what it cannot keep."""
    with redis_server(fsync="always") as server:
        async with redis_client(server.url) as client:
            scene = Scene(server, client, desk_over(redis_store(client)))
            await scene.desk.told("s1", *turn(0))
            server.limit_files(scene.aof_bytes() + 30_000)
            stored = 1
            with pytest.raises(StoreUnavailable):
                for stored in range(1, 1_000):
                    await scene.desk.told("s1", *turn(stored))
            until(lambda: not server.runs)
            await server.restart()
            found = await scene.desk.sessions.read("local", "s1")
            again = await scene.desk.told("s1", *turn(stored))

    contents = [one.content for one in found.messages[::2]]
    assert contents in ([f"{n} {BIG}" for n in range(stored)], [f"{n} {BIG}" for n in range(stored + 1)])
    assert (again is None) == (len(contents) == stored + 1)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Redis tries its disk again once a second."""
    for _ in range(200):
        if await holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never did")
