"""Folders that are watched although they hang, or no index could be made of them yet."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from rag_indexer.adapters.folder_watcher import FolderWatcher, walked
from sage_contracts.errors import EncoderAway
from sage_contracts.index import BuildRequest, IndexStatus
from tests.rag_indexer.parts import Desk, edge_desk, written

pytestmark = pytest.mark.slow

DEFECT = RuntimeError("a defect")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    written(
        tmp_path / "docs", {"zebra.md": "# Zebra\nA zebra is striped.\n", "deep/giraffe.md": "A giraffe is tall.\n"}
    )
    async with edge_desk(tmp_path, pause=0.01) as found:
        yield found


async def watch(desk: Desk, name: str, source_dir: str | None = None) -> None:
    """As a request does that asks for a build and does not wait for it."""
    await desk.builds.build(BuildRequest(collection=name, source_dir=source_dir, wait=False, force_rebuild=True))
    await desk.watching.begin(name)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


async def ready(desk: Desk, name: str) -> IndexStatus:
    async with asyncio.timeout(30):
        while (status := await desk.builds.status(name)).status != "ready":
            await asyncio.sleep(0.005)
    return desk.watching.told(name, status)


async def failed_changes(desk: Desk) -> None:
    """The build that was asked for has failed, that with which watching begins, and those of two changes."""
    await until(lambda: desk.tally.builds["failed"] == 2)
    for count in (3, 4):
        desk.watcher.change()
        await until(lambda count=count: desk.tally.builds["failed"] == count)  # type: ignore[misc]


async def test_a_watch_whose_first_build_failed_builds_at_a_later_change(desk: Desk) -> None:
    desk.encoder.fails_with = DEFECT
    await watch(desk, "tall", "deep")
    await failed_changes(desk)
    desk.encoder.fails_with = None
    desk.watcher.change()
    status = await ready(desk, "tall")

    assert (status.watching, status.index and status.index.source_dir) == (True, str(desk.docs / "deep"))


async def test_a_watch_whose_first_build_found_the_encoder_away_builds_once_it_is_back(desk: Desk) -> None:
    desk.encoder.fails_with = EncoderAway("the encoder is away")
    await watch(desk, "tall", "deep")
    await until(lambda: desk.tally.builds["failed"] >= 4)
    desk.encoder.fails_with = None
    status = await ready(desk, "tall")

    assert (status.watching, status.index and status.index.source_dir) == (True, str(desk.docs / "deep"))


async def test_a_watch_of_another_folder_whose_build_failed_builds_of_that_at_a_later_change(desk: Desk) -> None:
    await desk.builds.build(BuildRequest())
    written(desk.docs, {"later/lion.md": "A lion roars.\n"})
    desk.encoder.fails_with = DEFECT
    await watch(desk, "docs", "later")
    await failed_changes(desk)
    desk.encoder.fails_with = None
    desk.watcher.change()
    status = await ready(desk, "docs")

    assert (status.watching, status.index and status.index.source_dir) == (True, str(desk.docs / "later"))


async def test_the_configured_folder_is_no_chosen_one_because_its_first_build_failed(desk: Desk) -> None:
    desk.encoder.fails_with = DEFECT
    await watch(desk, "docs")
    await failed_changes(desk)
    desk.encoder.fails_with = None
    desk.watcher.change()
    await ready(desk, "docs")
    record = await (await desk.collections.open("docs")).record()

    assert record is not None
    assert (record.source_dir, record.chosen) == (str(desk.docs), False)


async def first_change(watcher: FolderWatcher, folder: Path) -> None:
    await anext(watcher.changes(str(folder)))


async def written_until(following: "asyncio.Task[None]", *folders: Path) -> None:
    async with asyncio.timeout(60):
        while not following.done():
            for folder in folders:
                written(folder, {"a.md": "x"})
            await asyncio.sleep(0.1)


async def test_folders_that_hang_when_they_are_to_be_watched_keep_no_other_from_being_watched(tmp_path: Path) -> None:
    names = [f"away{number}" for number in range(40)]
    here, *away = [written(tmp_path / name, {"deep/a.md": "x"}) for name in ["here", *names]]
    answers = threading.Event()

    def walk(folder: Path) -> None:
        assert folder == here or answers.wait(60)
        walked(folder)

    watcher = FolderWatcher(walk=walk)
    hanging = [asyncio.create_task(first_change(watcher, folder)) for folder in away]
    for _ in range(2):  # whoever has seen nothing while another saw two changes is not watching
        await written_until(asyncio.create_task(first_change(watcher, here)), here, away[0])
    hung = [one.done() for one in hanging]
    answers.set()
    for one in hanging[1:]:
        one.cancel()
    await asyncio.wait(hanging[1:])
    await written_until(hanging[0], away[0])

    assert set(hung) == {False}


def test_links_that_lead_back_are_walked_once(tmp_path: Path) -> None:
    """Each on the way of every other, they would take for ever."""
    written(tmp_path, {"deep/a.md": "x"})
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    for number in range(4):
        (tmp_path / "deep" / f"loop{number}").symlink_to(tmp_path)

    walked(tmp_path)
