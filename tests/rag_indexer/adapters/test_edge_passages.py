"""What only the embedded store has: a folder on disk, one opener, leftovers."""

import asyncio
import dataclasses
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from rag_indexer.adapters import data_folder, edge_passages, edge_version
from rag_indexer.adapters.data_folder import DataFolder, DataFolderInUse, Pointer, locked
from rag_indexer.adapters.edge_passages import EdgePassages, edge_collections
from rag_indexer.adapters.folder_copy import copy_folder
from rag_indexer.domain.documents import EVERYTHING
from rag_indexer.domain.manifest import FileState
from rag_indexer.domain.ports import Draft
from sage_contracts.errors import StoreUnavailable
from tests.rag_indexer.parts import DIMENSIONS, entry, made, query, record

pytestmark = pytest.mark.slow

FINGERPRINT = "f"


@asynccontextmanager
async def opened(root: Path) -> AsyncGenerator[EdgePassages]:
    async with edge_collections(root) as collections:
        yield await collections.open("docs")


async def begun(passages: EdgePassages, *, fresh: bool = True) -> Draft:
    return await passages.draft(fresh=fresh, fingerprint=FINGERPRINT, dimensions=DIMENSIONS)


async def publish(passages: EdgePassages, text: str, *, fresh: bool = True) -> None:
    draft = await begun(passages, fresh=fresh)
    await draft.put(made(entry("a.md", text)))
    await draft.publish(record())
    await passages.settled()


async def found(passages: EdgePassages, text: str) -> list[str]:
    return [hit.passage.text for hit in (await passages.search(query(text), limit=5, chosen=EVERYTHING)).sparse]


def versions(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("docs@*") if path.is_dir())


@pytest.fixture
async def passages(tmp_path: Path) -> AsyncGenerator[EdgePassages]:
    async with opened(tmp_path) as store:
        await publish(store, "a zebra is striped")
        yield store


async def test_an_index_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
    async with opened(tmp_path) as second:
        texts, stored, files = await found(second, "zebra"), await second.record(), await second.manifest()

    assert (texts, stored, list(files)) == (["a zebra is striped"], record(), ["a.md"])


async def test_one_version_before_stays_on_the_disk_and_no_more(passages: EdgePassages, tmp_path: Path) -> None:
    await publish(passages, "a giraffe is tall")
    two = versions(tmp_path)
    await publish(passages, "a lion roars")

    assert (two, versions(tmp_path)) == (["docs@1", "docs@2"], ["docs@2", "docs@3"])


async def test_a_change_leaves_no_second_version(passages: EdgePassages, tmp_path: Path) -> None:
    await publish(passages, "a giraffe is tall", fresh=False)

    assert versions(tmp_path) == ["docs@2"]


async def test_a_version_to_go_back_to_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
        await publish(first, "a giraffe is tall")
    async with opened(tmp_path) as second:
        await second.rollback()
        texts = await found(second, "zebra")
    async with opened(tmp_path) as third:
        kept = await found(third, "zebra")

    assert texts == kept == ["a zebra is striped"]


async def test_an_earlier_version_that_is_broken_is_not_gone_back_to(passages: EdgePassages, tmp_path: Path) -> None:
    await publish(passages, "a giraffe is tall")
    (tmp_path / "docs@1" / "index.json").write_text("{")

    assert (await passages.earlier(), await passages.rollback()) == (None, None)
    assert await found(passages, "giraffe") == ["a giraffe is tall"]


async def test_a_deleted_index_leaves_nothing_on_the_disk(passages: EdgePassages, tmp_path: Path) -> None:
    await publish(passages, "a giraffe is tall")
    await (await begun(passages)).leave()
    await passages.delete()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


async def test_a_discarded_draft_leaves_nothing_on_the_disk(passages: EdgePassages, tmp_path: Path) -> None:
    draft = await begun(passages)
    await draft.put(made(entry("b.md", "b")))
    await draft.discard()

    assert versions(tmp_path) == ["docs@1"]


async def test_a_draft_that_was_left_is_kept_through_a_restart_and_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
        draft = await begun(first)
        await draft.put(made(entry("b.md", "a giraffe is tall")))
        await draft.leave()
    async with opened(tmp_path) as second:
        unfinished, kept = await second.unfinished(FINGERPRINT), versions(tmp_path)
        draft = await begun(second)
        files = list(draft.files)
        await draft.publish(record())
        texts = await found(second, "giraffe zebra")

    assert (unfinished, kept, files) == (True, ["docs@1", "docs@2"], ["b.md"])
    assert texts == ["a giraffe is tall"]


async def test_what_a_killed_build_had_not_yet_noted_is_not_in_what_is_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        draft = await begun(first)
        await draft.put(made(entry("a.md", "a zebra is striped"), entry("b.md", "a giraffe is tall")))
        await draft.leave()
    journal = tmp_path / "docs@1" / "draft.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:-9])
    async with opened(tmp_path) as second:
        draft = await begun(second)
        files = list(draft.files)
        await draft.publish(record())
        texts = await found(second, "giraffe zebra")

    assert (files, texts) == (["a.md"], ["a zebra is striped"])


async def test_a_file_whose_passages_were_lost_is_read_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        draft = await begun(first)
        (half,) = made(entry("a.md", "a zebra is striped"))
        await draft.put([dataclasses.replace(half, state=FileState(hash="h", size=1, chunks=2))])
        await draft.leave()
    async with opened(tmp_path) as second:
        draft = await begun(second)
        files = list(draft.files)
        await draft.publish(record())

        assert (files, await found(second, "zebra")) == ([], [])


async def test_a_draft_that_cannot_be_opened_is_begun_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        draft = await begun(first)
        await draft.put(made(entry("a.md", "a zebra is striped")))
        await draft.leave()
    (tmp_path / "docs@1" / "shard" / "edge_config.json").write_text("{")
    async with opened(tmp_path) as second:
        draft = await begun(second)
        files = list(draft.files)
        await draft.publish(record())

    assert (files, versions(tmp_path)) == ([], ["docs@1"])


async def test_leftovers_without_a_journal_are_removed_at_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
    (tmp_path / "docs@2").mkdir()
    async with opened(tmp_path) as second:
        kept, texts = versions(tmp_path), await found(second, "zebra")

    assert (kept, texts) == (["docs@1"], ["a zebra is striped"])


async def test_a_pointer_that_was_being_written_when_the_power_went_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await publish(first, "a zebra is striped")
    (tmp_path / "docs@versions.new").write_bytes(b"")
    async with opened(tmp_path) as second:
        await publish(second, "a giraffe is tall")
        names = await found(second, "giraffe")

    assert names == ["a giraffe is tall"]


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


@pytest.mark.parametrize("pointer", ['{"served":"docs@9"}', '{"served":"../elsewhere"}', "", '{"served":"/etc"}'])
async def test_a_pointer_to_nowhere_is_no_index(tmp_path: Path, pointer: str) -> None:
    (tmp_path / "docs@versions").write_text(pointer)
    async with opened(tmp_path) as passages:
        assert await passages.record() is None


async def test_collections_with_an_index_are_listed(tmp_path: Path) -> None:
    async with edge_collections(tmp_path) as collections:
        for name in ("zoo", "animals", "empty"):
            passages = await collections.open(name)
            if name != "empty":
                await publish(passages, "a zebra is striped")
        listed = await collections.names()
        same = await collections.open("zoo") is await collections.open("zoo")

    assert (listed, same) == (["animals", "zoo"], True)


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
    async with passages.reading() as version:
        publishing = asyncio.create_task(publish(passages, "a giraffe is tall", fresh=False))
        while await found(passages, "giraffe") == []:
            await asyncio.sleep(0.001)
        assert version is not None
        old = await asyncio.to_thread(lambda: version.shard.info().points_count)
        both = versions(tmp_path)
    await publishing

    assert (old, both, versions(tmp_path)) == (1, ["docs@1", "docs@2"], ["docs@2"])


@pytest.mark.parametrize("end", ["discard", "leave"])
async def test_a_publish_that_is_cancelled_once_the_pointer_moved_is_served(
    passages: EdgePassages, tmp_path: Path, end: str
) -> None:
    draft = await begun(passages, fresh=False)
    await draft.put(made(entry("a.md", "a giraffe is tall")))
    publishing = asyncio.create_task(draft.publish(record()))
    await asyncio.sleep(0)
    while DataFolder(tmp_path, "docs").pointer().served == "docs@1":
        time.sleep(0.001)  # and not asyncio's: it must not come back before it is cancelled
    publishing.cancel()
    await asyncio.wait([publishing])
    await getattr(draft, end)()
    await passages.settled()
    served = await found(passages, "giraffe")
    await publish(passages, "a lion roars", fresh=False)

    assert (publishing.cancelled(), served) == (True, ["a giraffe is tall"])
    assert (await found(passages, "lion"), versions(tmp_path)) == (["a lion roars"], ["docs@3"])


async def test_a_publish_that_fails_after_the_pointer_moved_is_served(passages: EdgePassages, tmp_path: Path) -> None:
    draft = await begun(passages)
    await draft.put(made(entry("a.md", "a giraffe is tall")))
    (tmp_path / "docs@2" / "draft.jsonl").unlink()
    (tmp_path / "docs@2" / "draft.jsonl").mkdir()  # a journal that cannot be ended
    with pytest.raises(StoreUnavailable):
        await draft.publish(record())
    await draft.discard()

    assert versions(tmp_path) == ["docs@1", "docs@2"]
    assert await found(passages, "giraffe") == ["a giraffe is tall"]


async def test_a_version_that_is_read_is_not_swept_by_a_change_of_it(passages: EdgePassages, tmp_path: Path) -> None:
    DataFolder(tmp_path, "docs").point(Pointer())
    await publish(passages, "a giraffe is tall", fresh=False)

    assert await found(passages, "giraffe") == ["a giraffe is tall"]


async def test_discarding_or_leaving_what_is_served_does_not_touch_it(passages: EdgePassages) -> None:
    draft = await begun(passages)
    await draft.put(made(entry("a.md", "a giraffe is tall")))
    await draft.publish(record())
    await draft.discard()
    await draft.leave()

    assert await found(passages, "giraffe") == ["a giraffe is tall"]


async def test_a_store_that_fails_says_so(passages: EdgePassages) -> None:
    with pytest.raises(StoreUnavailable, match="the index store failed"):
        await passages.vectors(["not an id"])


async def test_a_change_of_an_index_that_went_away_fails(passages: EdgePassages, tmp_path: Path) -> None:
    (tmp_path / "docs@1" / "index.json").unlink()

    with pytest.raises(StoreUnavailable, match="went away"):
        await begun(passages, fresh=False)


async def test_a_copied_folder_is_the_same_and_its_holes_stay_holes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with (tmp_path / "a" / "b" / "holes").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
        file.seek(32 * 1024 * 1024)
        file.write(b"data")
    (tmp_path / "a" / "empty").touch()
    copy_folder(tmp_path / "a", tmp_path / "c")
    copied = tmp_path / "c" / "b" / "holes"

    assert copied.read_bytes() == (tmp_path / "a" / "b" / "holes").read_bytes()
    assert copied.stat().st_blocks * 512 < 1024 * 1024
    assert (tmp_path / "c" / "empty").read_bytes() == b""


def test_many_may_write_one_file_at_once(tmp_path: Path) -> None:
    versions = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(len(versions)) as threads:
        for _ in range(5):
            list(threads.map(lambda data: data_folder.write_durably(tmp_path / "file", data), versions))

    assert (tmp_path / "file").read_bytes() in versions
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        data_folder.write_durably(tmp_path / "file", b"data")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_versions_are_numbered_on(tmp_path: Path) -> None:
    data = DataFolder(tmp_path, "docs")
    (tmp_path / "docs@7").mkdir()
    (tmp_path / "docs@x").mkdir()

    assert data.new().name == "docs@8"
    data_folder.sync(tmp_path)


@pytest.mark.slow
async def test_a_shard_that_was_changed_too_often_is_renewed(tmp_path: Path) -> None:
    many = [entry(f"{number % 7}.md", f"passage number{number}") for number in range(3_000)]
    async with opened(tmp_path) as passages:
        for fresh in (True, False, False):
            draft = await begun(passages, fresh=fresh)
            await draft.put(made(*many))
            await draft.publish(record())
        often = written_to(tmp_path, "docs@3")
        draft = await begun(passages, fresh=False)
        await draft.put(made(entry("new.md", "a zebra is striped")))
        await draft.publish(record())
        renewed = written_to(tmp_path, "docs@4")
        texts = await found(passages, "zebra"), await found(passages, "number2999")

    assert (often, renewed) == (9_000, 3_001)
    assert texts == (["a zebra is striped"], ["passage number2999"])


def written_to(root: Path, version: str) -> int:
    about = edge_version.stored(root / version)
    assert about is not None
    return about.written


async def test_names_that_are_only_asked_for_are_not_kept(tmp_path: Path) -> None:
    async with edge_collections(tmp_path) as collections:
        kept = await collections.open("kept")
        await publish(kept, "a zebra is striped")
        async with collections.hold("held"):
            held = await collections.open("held")
            for number in range(edge_passages.MAX_UNUSED + 1):
                await collections.open(f"x{number}")
            same = await collections.open("kept") is kept, await collections.open("held") is held

    assert same == (True, True)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
async def test_an_open_collection_costs_one_thread(tmp_path: Path) -> None:
    async with edge_collections(tmp_path) as collections:
        await publish(await collections.open("first"), "a zebra is striped")
        before = search_threads()
        for name in ("second", "third"):
            await publish(await collections.open(name), "a zebra is striped")
        after = search_threads()

    assert len(after - before) == 2


def search_threads() -> set[str]:
    """Those of shards that tests before this one have closed may end meanwhile."""
    found = set[str]()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            if (task / "comm").read_text().startswith("edge-search"):
                found.add(task.name)
    return found
