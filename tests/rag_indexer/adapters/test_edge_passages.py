"""What only the embedded store has: a folder on disk, one opener, leftovers."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from rag_indexer.adapters import data_folder
from rag_indexer.adapters.data_folder import DataFolder, DataFolderInUse, locked
from rag_indexer.adapters.edge_passages import EdgePassages, edge_passages
from rag_indexer.domain.documents import EVERYTHING
from sage_contracts.errors import StoreUnavailable
from tests.rag_indexer.parts import DIMENSIONS, entry, query, record


def opened(root: Path) -> AbstractAsyncContextManager[EdgePassages]:
    return edge_passages(root, collection="docs")


async def publish(passages: EdgePassages, text: str) -> None:
    draft = await passages.draft(DIMENSIONS)
    await draft.add([entry("a.md", text)])
    await draft.publish(record(), {"a.md": "h"})


async def found(passages: EdgePassages, text: str) -> list[str]:
    return [hit.passage.text for hit in (await passages.search(query(text), limit=5, chosen=EVERYTHING)).sparse]


def versions(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("docs@*"))


@pytest.fixture
async def passages(tmp_path: Path) -> AsyncGenerator[EdgePassages]:
    async with opened(tmp_path) as store:
        await publish(store, "a zebra is striped")
        yield store


async def test_an_index_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
    async with opened(tmp_path) as second:
        texts, stored, files = await found(second, "zebra"), await second.record(), await second.files()

    assert (texts, stored, files) == (["a zebra is striped"], record(), {"a.md": "h"})


async def test_the_version_before_is_removed_from_the_disk(passages: EdgePassages, tmp_path: Path) -> None:
    await publish(passages, "a giraffe is tall")

    assert versions(tmp_path) == ["docs@2"]


async def test_a_deleted_index_leaves_nothing_on_the_disk(passages: EdgePassages, tmp_path: Path) -> None:
    await passages.delete()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


async def test_a_discarded_draft_leaves_nothing_on_the_disk(passages: EdgePassages, tmp_path: Path) -> None:
    draft = await passages.draft(DIMENSIONS)
    await draft.add([entry("b.md", "b")])
    await draft.discard()

    assert versions(tmp_path) == ["docs@1"]


async def test_what_a_killed_build_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
        draft = await first.draft(DIMENSIONS)
        await draft.add([entry("b.md", "half of it")])
        left = versions(tmp_path)
    async with opened(tmp_path) as second:
        kept, texts = versions(tmp_path), await found(second, "zebra")

    assert (left, kept, texts) == (["docs@1", "docs@2"], ["docs@1"], ["a zebra is striped"])


async def test_a_pointer_that_was_being_written_when_the_power_went_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
    (tmp_path / "current.new").write_bytes(b"")
    async with opened(tmp_path) as second:
        await publish(second, "a giraffe is tall")

    assert (tmp_path / "current").read_text() == "docs@2"


@pytest.mark.parametrize("broken", ["index.json", "shard/edge_config.json"])
async def test_an_index_that_cannot_be_opened_is_as_none_and_can_be_replaced(tmp_path: Path, broken: str) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
    (tmp_path / "docs@1" / broken).write_text("{")
    async with opened(tmp_path) as second:
        before = await second.record()
        await publish(second, "a giraffe is tall")
        after = await found(second, "giraffe")

    assert (before, after) == (None, ["a giraffe is tall"])


@pytest.mark.parametrize("pointer", ["docs@9", "../elsewhere", "", "/etc"])
async def test_a_pointer_to_nowhere_is_no_index(tmp_path: Path, pointer: str) -> None:
    (tmp_path / "current").write_text(pointer)
    async with opened(tmp_path) as passages:
        assert await passages.record() is None


async def test_a_second_opener_is_told_who_has_it(passages: EdgePassages, tmp_path: Path) -> None:
    with pytest.raises(DataFolderInUse, match=rf"^{tmp_path} is in use by another rag-indexer \(process \d+\)$"):
        async with opened(tmp_path):
            pass


def test_another_process_is_refused_too_and_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    holder = f"import pathlib, sys\nfrom rag_indexer.adapters.data_folder import locked\nwith locked(pathlib.Path({str(tmp_path)!r})):\n    print(flush=True)\n    sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(DataFolderInUse, match=f"process {process.pid}"), locked(tmp_path):
            pass
        process.kill()
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    refused = pytest.raises(DataFolderInUse, match="cannot be used as a data folder: Not a directory")
    with refused, locked(tmp_path / "file" / "data"):
        pass


async def test_an_old_version_stays_open_until_its_last_reader_has_left(passages: EdgePassages, tmp_path: Path) -> None:
    async with passages.reading() as shard:
        publishing = asyncio.create_task(publish(passages, "a giraffe is tall"))
        while await found(passages, "giraffe") == []:
            await asyncio.sleep(0.001)
        assert shard is not None
        old = await asyncio.to_thread(lambda: shard.info().points_count)
        both = versions(tmp_path)
    await publishing

    assert (old, both, versions(tmp_path)) == (1, ["docs@1", "docs@2"], ["docs@2"])


async def test_a_publish_that_is_cancelled_never_removes_what_the_pointer_names(
    passages: EdgePassages, tmp_path: Path
) -> None:
    draft = await passages.draft(DIMENSIONS)
    await draft.add([entry("a.md", "a giraffe is tall")])
    publishing = asyncio.create_task(draft.publish(record(), {"a.md": "h"}))
    await asyncio.sleep(0)
    publishing.cancel()
    await asyncio.wait([publishing])
    await draft.discard()
    served = (tmp_path / "current").read_text()

    assert served in versions(tmp_path)


async def test_a_publish_that_fails_after_the_pointer_moved_leaves_its_version(
    passages: EdgePassages, tmp_path: Path
) -> None:
    draft = await passages.draft(DIMENSIONS)
    DataFolder(tmp_path, "docs").point_to(tmp_path / "docs@2")
    await draft.discard()

    assert versions(tmp_path) == ["docs@1", "docs@2"]
    assert await found(passages, "zebra") == ["a zebra is striped"]


async def test_discarding_what_is_served_does_not_touch_it(passages: EdgePassages) -> None:
    draft = await passages.draft(DIMENSIONS)
    await draft.add([entry("a.md", "a giraffe is tall")])
    await draft.publish(record(), {"a.md": "h"})
    await draft.discard()

    assert await found(passages, "giraffe") == ["a giraffe is tall"]


async def test_a_store_that_fails_says_so(passages: EdgePassages) -> None:
    draft = await passages.draft(DIMENSIONS)
    await draft.discard()

    with pytest.raises(StoreUnavailable, match="the index store failed"):
        await passages.vectors(["not an id"])


async def test_carrying_from_an_index_that_went_away_fails_and_does_not_lose_passages(passages: EdgePassages) -> None:
    draft = await passages.draft(DIMENSIONS)
    await passages.delete()

    with pytest.raises(StoreUnavailable, match="went away"):
        await draft.carry(["a.md"])
    await draft.discard()


def test_versions_are_numbered_on(tmp_path: Path) -> None:
    data = DataFolder(tmp_path, "docs")
    (tmp_path / "docs@7").mkdir()
    (tmp_path / "docs@x").mkdir()

    assert data.new().name == "docs@8"
    data_folder.sync(tmp_path)
