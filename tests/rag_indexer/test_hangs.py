"""Folders on a share that is away: whoever asks for them waits for ever, and nobody else does."""

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal

import pytest

from rag_indexer.adapters.edge_passages import edge_collections
from rag_indexer.adapters.folder import AllowedFolders
from rag_indexer.app import loops
from rag_indexer.domain.ports import Content, Folder, Folders, Listing
from rag_indexer.settings import Settings
from sage_chassis.background import running
from sage_contracts.errors import EncoderAway, Unavailable
from sage_contracts.index import BuildRequest, Built, SearchRequest
from tests.rag_indexer.parts import Desk, desk_over, written
from tests.rag_indexer.text_parser import TextParser

pytestmark = pytest.mark.slow

At = Literal["open", "listing", "read"]


class Share:
    """Folders; those whose names begin with `away` hang in one of their calls, until the share answers."""

    def __init__(self, root: Path, at: At) -> None:
        self._folders: Folders = AllowedFolders([str(root)], max_file_bytes=100_000, suffixes=TextParser.suffixes)
        self._at = at
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0
        """How often a call has hung."""

    def open(self, source_dir: str) -> Folder:
        if not Path(source_dir).name.startswith("away"):
            return self._folders.open(source_dir)
        self.wait("open")
        return Away(self._folders.open(source_dir), self)

    def wait(self, at: At) -> None:
        if at == self._at and not self.answers.is_set():
            self.asked += 1
            assert self.answers.wait(60)


class Away:
    def __init__(self, folder: Folder, share: Share) -> None:
        self._folder = folder
        self._share = share
        self.path = folder.path
        self.stamp = folder.stamp

    def listing(self) -> Listing:
        self._share.wait("listing")
        return self._folder.listing()

    def read(self, path: str) -> Content:
        self._share.wait("read")
        return self._folder.read(path)


Scene = tuple[Share, Desk]


@pytest.fixture
async def scene(tmp_path: Path, at: At) -> AsyncGenerator[Scene]:
    written(tmp_path / "docs", {"zebra.md": "# Zebra\nA zebra is striped.\n"})
    for number in range(9):
        written(tmp_path / f"away{number}", {"lion.md": "A lion roars.\n"})
    share = Share(tmp_path, at)
    async with edge_collections(tmp_path / "data") as collections:
        desk = desk_over(collections, tmp_path / "docs", tmp_path / "data", folders=share, pause=0.05, patience=1.0)
        yield share, desk
        share.answers.set()
        await desk.watching.close()
        await desk.builds.close()


async def build(desk: Desk, number: int, **changes: object) -> Built:
    asked = {"collection": f"c{number}", "source_dir": str(desk.docs.parent / f"away{number}"), **changes}
    return await desk.builds.build(BuildRequest(**asked))  # type: ignore[arg-type]


async def seen(desk: Desk, name: str, *words: str) -> str:
    """What its status says once it is one of these: a build that stalls is called so."""
    async with asyncio.timeout(30):
        while True:
            status = await desk.builds.status(name)
            word = "stalled" if status.job is not None and status.job.stalled else status.status
            if word in words:
                return f"{word}: {status.job.stage}" if status.job else f"{word}: {status.error}"
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("open", "failed: the folder {} does not answer"),
        ("listing", "stalled: scanning"),
        ("read", "stalled: scanning"),
    ],
)
async def test_a_folder_that_hangs_at_start_holds_up_its_own_collection_alone(scene: Scene, told: str) -> None:
    share, desk = scene
    lion = desk.docs.parent / "away0"
    await build(desk, 0)
    written(lion, {"lion.md": "A lion sleeps.\n"})
    share.answers.clear()
    config = Settings(source_dir=str(desk.docs), watch=True)
    async with running(*loops(config, desk.renewals, desk.watching)):
        docs = await seen(desk, "docs", "ready")
        hung = await seen(desk, "c0", "failed", "stalled")
        async with asyncio.timeout(30):
            while str(desk.docs) not in desk.watcher.watched:
                await asyncio.sleep(0.01)
        share.answers.set()
        again = await seen(desk, "c0", "ready")
        async with asyncio.timeout(30):
            while not (await desk.searches.find(SearchRequest(query="sleeps", collection="c0"))).passages:
                await asyncio.sleep(0.01)

    assert (docs, hung, again) == ("ready: None", told.format(lion), "ready: None")


@pytest.mark.parametrize("at", ["open", "listing", "read"])
async def test_folders_that_hang_keep_nobody_from_building_or_searching(scene: Scene) -> None:
    share, desk = scene
    share.answers.clear()
    building = [asyncio.create_task(build(desk, number)) for number in range(9)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        built = await desk.builds.build(BuildRequest(source_dir=str(desk.docs)))
        found = await desk.searches.find(SearchRequest(query="striped"))
    share.answers.set()
    await asyncio.gather(*building, return_exceptions=True)

    assert built.status == "built"
    assert [passage.source.path for passage in found.passages] == ["zebra.md"]


@pytest.mark.parametrize("at", ["read"])
async def test_files_that_all_hang_at_once_keep_nobody_else_from_reading(scene: Scene) -> None:
    share, desk = scene
    written(desk.docs.parent / "away0", {f"{number}.md": "A lion roars.\n" for number in range(40)})
    desk.encoder.meanwhile = share.answers.clear
    building = asyncio.create_task(build(desk, 0))
    async with asyncio.timeout(30):
        while not share.asked:
            await asyncio.sleep(0.01)
        desk.encoder.meanwhile = lambda: None
        built = await desk.builds.build(BuildRequest(source_dir=str(desk.docs)))
    hung = await seen(desk, "c0", "stalled")
    share.answers.set()

    assert (built.status, hung) == ("built", "stalled: chunking")
    assert (await building).status == "built"


@pytest.mark.parametrize("at", ["open"])
async def test_a_folder_that_hangs_is_asked_once_and_whoever_asks_for_it_is_told(scene: Scene) -> None:
    share, desk = scene
    share.answers.clear()
    for _ in range(2):
        with pytest.raises(Unavailable, match="does not answer"):
            await build(desk, 0)
    asked = share.asked
    share.answers.set()

    assert asked == 1
    assert (await build(desk, 0)).status == "built"


@pytest.mark.parametrize("at", ["read"])
async def test_builds_that_failed_leave_no_threads_behind(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    _, desk = scene
    caplog.set_level(
        logging.CRITICAL, "rag_indexer.domain.jobs"
    )  # an error that was kept keeps all that it went through
    before = set(threading.enumerate())
    for number in range(3):
        desk.encoder.fails_with = EncoderAway("the encoder is away")
        with pytest.raises(EncoderAway):
            await build(desk, number)
    desk.encoder.fails_with = None

    async with asyncio.timeout(30):
        while any(one.name.startswith("folder") for one in set(threading.enumerate()) - before):
            gc.collect()
            await asyncio.sleep(0.01)
