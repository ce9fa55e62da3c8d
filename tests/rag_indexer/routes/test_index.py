"""Building, watching and deleting an index, over a real socket and real Edge."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from sage_contracts.errors import StoreUnavailable
from tests.rag_indexer.clients import Client, clients
from tests.rag_indexer.parts import edge_desk, written

FILES = {
    "zebra.md": "# Zebra\nA zebra is striped.\n",
    "deep/giraffe.md": "# Giraffe\nA giraffe is tall.\n",
    "notes.txt": "Notes about engines and gateways.\n",
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[Client]:
    written(tmp_path / "docs", FILES)
    async with clients(tmp_path) as found:
        yield found


async def test_before_the_first_build_there_is_no_index(client: Client) -> None:
    assert await client.status() == {"status": "not_found"}


async def test_a_build_answers_with_the_index(client: Client) -> None:
    status, built = await client.build()
    index = built["index"]

    assert (status, built["status"], built["message"]) == (200, "built", "3 files, 3 passages")
    assert (index["num_documents"], index["num_chunks"], index["skipped"]) == (3, 3, [])
    assert index["embedding"] == {"encoder": "words", "dimensions": 64}
    assert index["source_dir"] == str(client.desk.docs)
    assert await client.status() == {"status": "ready", "index": index}


async def test_nothing_changed_is_said_so_and_nothing_is_encoded_again(client: Client) -> None:
    _, first = await client.build()
    encoded = len(client.desk.encoder.encoded)
    status, again = await client.build(source_dir=str(client.desk.docs))

    assert (status, again["status"], again["index"]) == (200, "already_exists", first["index"])
    assert len(client.desk.encoder.encoded) == encoded


async def test_only_what_changed_is_read_again(client: Client) -> None:
    _, first = await client.build()
    client.desk.encoder.encoded.clear()
    written(client.desk.docs, {"zebra.md": "# Zebra\nIt runs fast.\n", "new.md": "A new file.\n"})
    (client.desk.docs / "notes.txt").unlink()
    _, second = await client.build()

    assert (second["status"], second["message"]) == ("updated", "2 files read, 0 moved, 1 removed, 1 unchanged")
    assert sorted(client.desk.encoder.encoded) == ["# Zebra\nIt runs fast.", "A new file."]
    assert (second["index"]["num_documents"], second["index"]["num_chunks"]) == (3, 3)
    assert second["index"]["created_at"] == first["index"]["created_at"] < second["index"]["updated_at"]
    assert (await client.search("giraffe"))["passages"][0]["source"]["path"] == "deep/giraffe.md"
    assert not (await client.search("striped"))["evidence"]


async def test_a_forced_build_reads_everything_and_keeps_the_ids(client: Client) -> None:
    await client.build()
    before = (await client.search("zebra"))["passages"][0]["id"]
    client.desk.encoder.encoded.clear()
    _, built = await client.build(force_rebuild=True)

    assert (built["status"], len(client.desk.encoder.encoded)) == ("built", 3)
    assert (await client.search("zebra"))["passages"][0]["id"] == before


async def test_another_folder_takes_the_place_of_the_first(client: Client) -> None:
    await client.build()
    _, built = await client.build(source_dir="deep")

    assert (built["status"], built["index"]["num_documents"]) == ("updated", 1)
    assert built["index"]["source_dir"] == str(client.desk.docs / "deep")
    assert (await client.search("giraffe"))["passages"][0]["source"]["path"] == "giraffe.md"


async def test_a_build_that_is_not_waited_for_is_a_202_with_the_job(client: Client) -> None:
    client.desk.encoder.hold()
    status, built = await client.build(wait=False)
    told = await client.status()
    client.desk.encoder.release()
    settled = await client.settled()

    assert (status, built["status"], built["job"]["stage"]) == (202, "building", "scanning")
    assert (told["status"], told["job"]["id"]) == ("building", built["job"]["id"])
    assert settled["index"]["num_documents"] == 3


async def test_the_status_tells_how_far_a_build_is(client: Client) -> None:
    building = await client.held()
    job = (await client.status())["job"]
    client.desk.encoder.release()
    await building

    assert (job["done"], job["total"], job["stage"], job.get("eta_seconds")) == (0, 3, "chunking", None)


async def test_only_one_build_runs_and_the_other_caller_is_told_of_it(client: Client) -> None:
    building = await client.held()
    status, refused = await client.build()
    deleted, _ = await client.ask("DELETE", "/admin/index")
    client.desk.encoder.release()
    first, _ = await building

    assert (first, status, deleted, refused["error"]["code"]) == (200, 409, 409, "build_running")
    assert "chunking, 0 of 3 files" in refused["error"]["message"]


async def test_two_builds_asked_at_once_are_one(client: Client) -> None:
    client.desk.encoder.hold()
    building = [asyncio.create_task(client.build(force_rebuild=True)) for _ in range(8)]
    answers = asyncio.as_completed(building)
    refused = [(await next(answers))[0] for _ in range(7)]
    client.desk.encoder.release()

    assert (refused, (await next(answers))[0]) == ([409] * 7, 200)


async def test_searches_go_on_with_the_old_index_while_a_new_one_is_built(client: Client) -> None:
    await client.build()
    building = await client.held(force_rebuild=True)
    found = await client.search("zebra")
    told = await client.status()
    client.desk.encoder.release()
    await building

    assert found["evidence"]
    assert (told["status"], told["index"]["num_chunks"]) == ("building", 3)


@pytest.mark.slow
async def test_under_search_no_rebuild_is_ever_met_as_a_gap(client: Client) -> None:
    await client.build()
    done = asyncio.Event()
    found: list[bool] = []

    async def searching() -> None:
        while not done.is_set():
            found.append((await client.search("zebra"))["evidence"])

    searchers = [asyncio.create_task(searching()) for _ in range(4)]
    builds = 0
    while builds < 3 or len(found) < 20:
        await client.build(force_rebuild=True)
        builds += 1
    done.set()
    await asyncio.gather(*searchers)

    assert all(found)


async def test_a_failed_build_leaves_the_old_index_and_says_why(client: Client) -> None:
    await client.build()
    client.desk.encoder.fails_with = StoreUnavailable("the disk is full")
    status, failed = await client.build(force_rebuild=True)
    client.desk.encoder.fails_with = None
    told = await client.status()

    assert (status, failed["error"]["code"]) == (503, "store_unavailable")
    assert (told["status"], told["error"], told["index"]["num_chunks"]) == ("failed", "the disk is full", 3)
    assert (await client.search("zebra"))["evidence"]


async def test_a_bug_in_a_build_is_a_500_and_leaves_nothing_behind(client: Client, tmp_path: Path) -> None:
    client.desk.encoder.fails_with = RuntimeError("secret detail")
    status, failed = await client.build()
    told = await client.status()

    assert (status, failed["error"]["message"]) == (500, "internal error")
    assert told == {"status": "failed", "error": "internal error: RuntimeError"}
    assert list((tmp_path / "data").glob("docs@*")) == []


async def test_a_build_that_works_clears_the_failure(client: Client) -> None:
    client.desk.encoder.fails_with = RuntimeError("once")
    await client.build()
    client.desk.encoder.fails_with = None
    await client.build()

    assert (await client.status())["status"] == "ready"
    assert client.desk.tally.builds == {"failed": 1, "built": 1}
    assert client.desk.tally.chunks == 3


async def test_a_failure_that_nobody_waited_for_is_in_the_status(client: Client) -> None:
    client.desk.encoder.fails_with = StoreUnavailable("the disk is full")
    await client.build(wait=False)

    assert (await client.settled())["error"] == "the disk is full"


async def test_a_caller_who_leaves_does_not_stop_the_build(client: Client) -> None:
    building = await client.held()
    building.cancel()
    await asyncio.wait([building])
    client.desk.encoder.release()

    assert (await client.settled())["index"]["num_documents"] == 3


async def test_a_build_is_given_up_when_the_service_stops(client: Client, tmp_path: Path) -> None:
    await client.build()
    building = await client.held(force_rebuild=True)
    closing = asyncio.create_task(client.desk.builds.close())
    await asyncio.sleep(0)
    client.desk.encoder.release()
    await closing
    status, told = await building

    assert (status, told["error"]["message"]) == (503, "the service is stopping")
    assert client.desk.tally.builds["cancelled"] == 1
    assert (tmp_path / "data" / "docs@2" / "draft.jsonl").exists()


async def test_files_that_cannot_be_read_are_named_and_the_build_goes_on(client: Client, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (client.desk.docs / "out.md").symlink_to(tmp_path / "secret.md")
    bad = {"bin.md": b"\0\1", "latin.md": b"caf\xe9", "huge.txt": b"x" * 100_001, "empty.md": b"\n"}
    written(client.desk.docs, bad)
    status, built = await client.build()

    assert (status, built["index"]["num_documents"]) == (200, 3)
    assert built["index"]["skipped"] == [
        "bin.md: binary, not text",
        "empty.md: empty",
        "huge.txt: larger than 100000 bytes",
        "latin.md: not UTF-8 (byte 3)",
        "out.md: leads outside the folder",
    ]


async def test_no_more_than_a_thousand_bad_files_are_named(client: Client) -> None:
    written(client.desk.docs, {f"{number:04}.txt": b"\0" for number in range(1_003)})
    _, built = await client.build()
    skipped = built["index"]["skipped"]

    assert (len(skipped), skipped[-1]) == (1_001, "and 3 more")


async def test_a_file_that_vanishes_after_the_scan_is_named_and_the_build_goes_on(client: Client) -> None:
    client.desk.encoder.meanwhile = (client.desk.docs / "zebra.md").unlink
    _, built = await client.build()

    assert built["index"]["skipped"] == ["zebra.md: it does not exist any more"]
    assert (built["index"]["num_documents"], built["index"]["num_chunks"]) == (2, 2)


async def test_a_file_that_changes_after_the_scan_is_indexed_as_it_was_read(client: Client) -> None:
    client.desk.encoder.meanwhile = lambda: written(client.desk.docs, {"zebra.md": "# Zebra\nIt has changed.\n"})
    await client.build()

    assert (await client.build())[1]["status"] == "already_exists"
    assert (await client.search("changed"))["evidence"]


async def test_a_folder_without_documents_is_an_index_without_passages(client: Client) -> None:
    (client.desk.docs / "empty").mkdir()
    _, built = await client.build(source_dir="empty")
    found = await client.search("zebra")

    assert (built["status"], built["index"]["num_chunks"]) == ("built", 0)
    assert (found["passages"], found["evidence"]) == ([], False)


@pytest.mark.parametrize("source_dir", ["/etc", "..", "nowhere", "a\0b", "zebra.md", "x" * 5_000])
async def test_a_folder_outside_the_roots_is_a_400_that_names_them(client: Client, source_dir: str) -> None:
    status, refused = await client.build(source_dir=source_dir)

    assert (status, refused["error"]["code"], refused["error"]["param"]) == (400, "source_refused", "source_dir")
    assert "\0" in source_dir or str(client.desk.docs) in refused["error"]["message"]


async def test_without_a_configured_folder_one_must_be_named(tmp_path: Path) -> None:
    async with clients(tmp_path, default=False) as client:
        status, refused = await client.build()

    assert (status, refused["error"]["code"]) == (400, "source_refused")
    assert refused["error"]["message"] == "no folder is configured: name one in source_dir"


async def test_a_deleted_index_is_gone(client: Client) -> None:
    await client.build()
    first = await client.ask("DELETE", "/admin/index")
    second = await client.ask("DELETE", "/admin/index")

    assert first == (200, {"status": "deleted", "message": "the index is deleted"})
    assert second == (200, {"status": "not_found", "message": "there is no index"})
    assert await client.status() == {"status": "not_found"}
    assert client.desk.tally.chunks == 0


async def test_deleting_clears_the_failure_of_the_last_build(client: Client) -> None:
    client.desk.encoder.fails_with = RuntimeError("once")
    await client.build()
    await client.ask("DELETE", "/admin/index")

    assert await client.status() == {"status": "not_found"}


async def test_an_index_of_another_encoder_is_not_searched_and_is_built_anew(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with clients(tmp_path) as first:
        await first.build()
    async with edge_desk(tmp_path) as desk:
        desk.encoder.name = "better words"
    async with clients(tmp_path) as client:
        client.desk.encoder.name = "better words"
        _, built = await client.build()

    assert (built["status"], built["index"]["embedding"]["encoder"]) == ("built", "better words")
