"""Two rag-indexers on one Qdrant server."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from rag_indexer.adapters.qdrant_passages import QdrantCollections
from sage_contracts import index as wire
from sage_contracts.errors import BuildRunning, EncoderAway
from tests.rag_indexer.parts import Desk, desk_over, written

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

FILES = {
    "zebra.md": "# Zebra\nA zebra is striped.\n",
    "deep/giraffe.md": "# Giraffe\nA giraffe is tall.\n",
    "notes.txt": "Notes about engines and gateways.\n",
}


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncGenerator[tuple[Desk, Desk]]:
    docs = written(tmp_path / "docs", FILES)
    client = AsyncQdrantClient(":memory:")
    found = [desk_over(QdrantCollections(client), docs, tmp_path / name, pause=0.5) for name in ("one", "two")]
    yield found[0], found[1]
    for desk in found:
        desk.encoder.release()
        await desk.watching.close()
        await desk.builds.close()
    await client.close()


async def build(desk: Desk, **changes: object) -> wire.Built:
    return await desk.builds.build(wire.BuildRequest(**changes))  # type: ignore[arg-type]


async def followed(desk: Desk) -> list[wire.BuildEvent]:
    return [event async for event in desk.builds.events(None)]


async def paths(desk: Desk, query: str) -> list[str]:
    found = await desk.searches.find(wire.SearchRequest(query=query))
    return [passage.source.path for passage in found.passages]


async def test_what_one_has_built_the_other_serves_and_changes(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    same = await build(other)
    written(one.docs, {"zebra.md": "# Lion\nA lion roars.\n"})
    (one.docs / "notes.txt").rename(one.docs / "words.txt")
    changed = await build(other)

    assert (same.status, other.parser.parsed) == ("already_exists", ["zebra.md"])
    assert changed.message == "1 files read, 1 moved, 0 removed, 1 unchanged"
    assert (await paths(one, "roars"), await paths(one, "engines gateways")) == (["zebra.md"], ["words.txt"])
    assert await paths(one, "striped") == []


@pytest.mark.parametrize("wait", [True, False])
async def test_while_one_builds_the_other_is_told_so_and_harms_nothing(desks: tuple[Desk, Desk], wait: bool) -> None:
    one, other = desks
    one.encoder.hold()
    building = asyncio.create_task(build(one))
    assert await asyncio.to_thread(one.encoder.reached.wait, 60)
    with pytest.raises(
        BuildRunning, match=r"^build \w+ is under way in .*, another rag-indexer, since .*: scanning, 0 of"
    ):
        await build(other, wait=wait)
    with pytest.raises(BuildRunning):
        await other.builds.delete()
    with pytest.raises(BuildRunning):
        await other.builds.cancel(None)
    told = await other.builds.status()
    following = asyncio.create_task(followed(other))
    await asyncio.sleep(0)
    one.encoder.release()
    built = await building
    here = await one.builds.status()

    assert (told.status, told.job and told.job.stage, bool(told.builder)) == ("building", "scanning", True)
    assert (here.status, here.builder) == ("ready", None)
    assert [event.event for event in await following] == ["progress", "idle"]
    status = await other.builds.status()

    assert (built.status, await paths(other, "striped")) == ("built", ["zebra.md"])
    assert (status.status, status.error, other.tally.builds) == ("ready", None, {})
    assert (await build(other)).status == "already_exists"


async def test_a_rebuild_by_one_is_never_a_gap_for_the_other(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    done = asyncio.Event()
    found: list[list[str]] = []

    async def searching() -> None:
        while not done.is_set():
            found.append(await paths(other, "striped"))
            await asyncio.sleep(0)  # the client in memory never waits for anything by itself

    searchers = [asyncio.create_task(searching()) for _ in range(4)]
    builds = 0
    while builds < 3 or len(found) < 20:
        await build(one, force_rebuild=True)
        builds += 1
    done.set()
    await asyncio.gather(*searchers)

    assert set(map(tuple, found)) == {("zebra.md",)}


async def test_a_rebuild_that_one_left_is_finished_by_the_other(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    written(one.docs, {f"{number:03}.md": f"# {number}\nIt is {number}.\n" for number in range(200)})
    one.encoder.hold()
    building = asyncio.create_task(build(one))
    assert await asyncio.to_thread(one.encoder.reached.wait, 60)
    one.encoder.fails_after = 100
    one.encoder.release()
    await asyncio.wait([building])
    built = await build(other)

    assert building.exception() is not None
    assert (built.status, built.index.num_chunks if built.index else 0) == ("built", 203)
    assert 0 < len(other.encoder.encoded) < 203


async def test_a_rebuild_of_one_can_be_rolled_back_by_the_other(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    written(one.docs, {"zebra.md": "# Lion\nA lion roars.\n"})
    await build(one, force_rebuild=True)
    await other.builds.rollback(None)

    assert (await paths(one, "striped"), await paths(one, "roars")) == (["zebra.md"], [])


async def test_what_one_has_deleted_the_other_watches_no_more(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    await other.watching.begin(None)
    await other.looked_at()
    await one.builds.delete()
    told = other.watching.told(None, await other.builds.status())
    other.watcher.change()
    async with asyncio.timeout(30):
        while other.watcher.following:
            await asyncio.sleep(0)

    assert (told.watching, (await one.builds.status()).status) == (False, "not_found")


async def test_what_one_has_made_of_another_folder_the_other_follows_there(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    await other.watching.begin_all()
    await other.looked_at()
    await build(one, source_dir="deep")
    other.watcher.change()
    async with asyncio.timeout(30):
        while other.watcher.following:
            await asyncio.sleep(0)
    await other.watching.begin_all()
    async with asyncio.timeout(30):
        while len(other.watcher.watched) < 2:
            await asyncio.sleep(0)

    assert other.watcher.watched == [str(one.docs), str(one.docs / "deep")]


async def settled(desk: Desk) -> str:
    """What the status is once what failed is tried again, or given up."""
    async with asyncio.timeout(30):
        while (status := (await desk.builds.status()).status) in {"failed", "building"}:
            await asyncio.sleep(0.01)
    return status


async def renewed_in_vain(desk: Desk) -> None:
    """It is tried again after a pause."""
    written(desk.docs, {"lion.md": "A lion roars.\n"})
    desk.encoder.fails_with = EncoderAway("the encoder is away")
    assert await desk.renewals.renew("docs") is None


@pytest.mark.slow
async def test_what_one_has_deleted_is_not_brought_back_by_what_the_other_tries_again(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    await renewed_in_vain(other)
    await one.builds.delete()
    other.encoder.fails_with = None

    assert (await settled(other), set(other.tally.builds)) == ("not_found", {"failed"})
    assert await one.collections.names() == []


@pytest.mark.slow
async def test_what_one_deletes_while_the_other_waits_for_that_is_not_brought_back(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    async with one.collections.hold("docs"):
        renewing = asyncio.create_task(other.renewals.renew("docs"))
        await asyncio.sleep(0.5)
        await (await one.collections.open("docs")).delete()

    assert (await renewing, await one.collections.names()) == (None, [])


async def test_a_change_does_not_bring_back_what_one_has_deleted_after_the_other_failed(
    desks: tuple[Desk, Desk],
) -> None:
    one, other = desks
    await build(one)
    await other.watching.begin(None)
    await other.looked_at()
    await renewed_in_vain(other)
    await one.builds.delete()
    other.encoder.fails_with = None
    other.watcher.change()
    async with asyncio.timeout(30):
        while other.watcher.following:
            await asyncio.sleep(0)

    assert await one.collections.names() == []


@pytest.mark.slow
async def test_what_is_asked_for_after_another_has_deleted_the_index_is_tried_again(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    await build(one)
    await renewed_in_vain(other)
    await one.builds.delete()
    await renewed_in_vain(other)
    other.encoder.fails_with = None

    assert (await settled(other), await paths(one, "roars")) == ("ready", ["lion.md"])
