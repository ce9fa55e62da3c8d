"""What a build does of what has changed, and what can be told, taken back and chosen of it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from rag_indexer.domain.ports import Kind
from sage_contracts.errors import EncoderAway
from tests.rag_indexer.clients import Client, clients
from tests.rag_indexer.parts import DIMENSIONS, WordsEncoder, edge_desk, written

pytestmark = pytest.mark.slow

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


async def test_only_changed_files_are_parsed_and_encoded(client: Client) -> None:
    written(client.desk.docs, {f"{number}.md": f"# Number {number}\nIt is {number}.\n" for number in range(200)})
    await client.build()
    client.desk.parser.parsed.clear()
    client.desk.encoder.encoded.clear()
    written(client.desk.docs, {"7.md": "# Seven\nIt is seven.\n", "new.md": "# New\nIt is new.\n"})
    (client.desk.docs / "notes.txt").unlink()
    _, built = await client.build()

    assert (built["status"], built["message"]) == ("updated", "2 files read, 0 moved, 1 removed, 201 unchanged")
    assert sorted(client.desk.parser.parsed) == ["7.md", "new.md"]
    assert len(client.desk.encoder.encoded) == 2
    assert built["index"]["num_documents"] == 203


async def test_a_moved_file_is_labelled_anew_and_neither_parsed_nor_encoded(client: Client) -> None:
    await client.build()
    before = (await client.search("zebra"))["passages"][0]
    client.desk.parser.parsed.clear()
    client.desk.encoder.encoded.clear()
    (client.desk.docs / "zebra.md").rename(client.desk.docs / "deep" / "horse.md")
    _, built = await client.build()
    nothing = (list(client.desk.parser.parsed), [text for text in client.desk.encoder.encoded if "\n" in text])
    after = (await client.search("zebra"))["passages"][0]
    await client.build(force_rebuild=True)
    rebuilt = (await client.search("zebra"))["passages"][0]

    assert built["message"] == "0 files read, 1 moved, 0 removed, 2 unchanged"
    assert nothing == ([], [])
    assert (before["source"]["path"], after["source"]["path"]) == ("zebra.md", "deep/horse.md")
    assert after["id"] == rebuilt["id"] != before["id"]


async def test_a_touched_file_is_neither_a_change_nor_read_twice(client: Client) -> None:
    await client.build()
    os.utime(client.desk.docs / "zebra.md", (1_000, 1_000))
    client.desk.parser.parsed.clear()
    _, built = await client.build()

    assert (built["status"], client.desk.parser.parsed) == ("already_exists", [])


async def test_a_file_that_cannot_be_read_is_not_tried_again_until_it_changes(client: Client) -> None:
    written(client.desk.docs, {"bad.md": b"\0"})
    await client.build()
    client.desk.parser.parsed.clear()
    _, same = await client.build()
    nothing = list(client.desk.parser.parsed)
    written(client.desk.docs, {"bad.md": "It is good now.\n"})
    _, fixed = await client.build()

    assert (same["status"], same["index"]["skipped"], nothing) == ("already_exists", ["bad.md: binary, not text"], [])
    assert (fixed["status"], fixed["index"]["skipped"], client.desk.parser.parsed) == ("updated", [], ["bad.md"])


async def test_a_dry_run_tells_the_plan_and_changes_nothing(client: Client) -> None:
    await client.build()
    before = await client.status()
    client.desk.parser.parsed.clear()
    written(client.desk.docs, {"new.md": "x" * 700, "notes.txt": "They have changed.\n"})
    (client.desk.docs / "zebra.md").rename(client.desk.docs / "horse.md")
    (client.desk.docs / "deep" / "giraffe.md").unlink()
    status, planned = await client.build(dry_run=True)
    plan = planned["plan"]

    assert (status, planned["status"]) == (200, "planned")
    assert (plan["add"], plan["change"], plan["delete"]) == (["new.md"], ["notes.txt"], ["deep/giraffe.md"])
    assert plan["move"] == [{"before": "zebra.md", "now": "horse.md"}]
    assert (plan["unchanged"], plan["files"], plan["bytes"]) == (0, 2, 719)
    assert plan["chunks"] > 10
    assert plan["seconds"] > 0
    assert (await client.status(), client.desk.parser.parsed) == (before, [])


async def test_a_dry_run_before_the_first_build_estimates_all_the_same(client: Client) -> None:
    _, planned = await client.build(dry_run=True)

    assert (planned["plan"]["files"], planned["plan"]["chunks"], planned["plan"]["seconds"]) == (3, 3, None)
    assert await client.status() == {"status": "not_found"}


async def test_a_dry_run_of_a_forced_build_is_of_all_files(client: Client) -> None:
    await client.build()
    _, planned = await client.build(dry_run=True, force_rebuild=True)

    assert sorted(planned["plan"]["add"]) == sorted(FILES)


async def test_a_rebuild_can_be_rolled_back_and_forth(client: Client) -> None:
    _, first = await client.build()
    written(client.desk.docs, {"zebra.md": "# Lion\nA lion roars.\n"})
    await client.build(force_rebuild=True)
    previous = (await client.status())["previous"]
    status, back = await client.ask("POST", "/admin/index/rollback")
    zebra, lion = await client.paths("striped"), await client.paths("roars")
    _, forth = await client.ask("POST", "/admin/index/rollback", {"collection": "docs"})

    assert (status, back["status"], back["index"]) == (200, "rolled_back", first["index"])
    assert previous == first["index"]
    assert (zebra, lion) == (["zebra.md"], [])
    assert (forth["index"]["num_chunks"], await client.paths("roars")) == (3, ["zebra.md"])


async def test_a_caller_who_leaves_does_not_stop_a_rollback(client: Client) -> None:
    await client.build()
    written(client.desk.docs, {"zebra.md": "# Lion\nA lion roars.\n"})
    await client.build(force_rebuild=True)
    rolling = asyncio.create_task(client.desk.builds.rollback(None))
    await asyncio.sleep(0)
    rolling.cancel()
    await asyncio.wait([rolling])
    await client.desk.builds.close()

    assert (rolling.cancelled(), await client.paths("striped")) == (True, ["zebra.md"])


async def test_a_build_that_is_due_while_an_index_is_changed_waits_for_that(client: Client) -> None:
    await client.build()
    await client.build(force_rebuild=True)
    written(client.desk.docs, {"lion.md": "# Lion\nA lion roars.\n"})
    rolling = asyncio.create_task(client.desk.builds.rollback(None))
    await asyncio.sleep(0)
    built = await client.desk.renewals.renew("docs")
    await rolling

    assert built is not None
    assert (built.status, await client.paths("roars")) == ("updated", ["lion.md"])


async def test_what_was_rolled_back_is_brought_up_to_date_by_the_next_build(client: Client) -> None:
    await client.build()
    written(client.desk.docs, {"zebra.md": "# Lion\nA lion roars.\n"})
    await client.build(force_rebuild=True)
    await client.ask("POST", "/admin/index/rollback")
    client.desk.parser.parsed.clear()
    _, built = await client.build()

    assert (built["status"], client.desk.parser.parsed) == ("updated", ["zebra.md"])


async def test_without_an_earlier_version_nothing_is_rolled_back(client: Client) -> None:
    none = await client.ask("POST", "/admin/index/rollback")
    await client.build()
    written(client.desk.docs, {"new.md": "new"})
    await client.build()
    status, refused = await client.ask("POST", "/admin/index/rollback")

    assert (status, refused["error"]["code"]) == (none[0], none[1]["error"]["code"]) == (409, "no_earlier_index")


async def test_an_earlier_version_that_is_damaged_is_not_gone_back_to(client: Client, tmp_path: Path) -> None:
    await client.build()
    await client.build(force_rebuild=True)
    (tmp_path / "data" / "docs@1" / "shard" / "edge_config.json").write_text("{")
    status, refused = await client.ask("POST", "/admin/index/rollback")

    assert (status, refused["error"]["code"]) == (409, "no_earlier_index")
    assert await client.paths("zebra") == ["zebra.md"]


async def test_a_version_of_another_encoder_is_not_gone_back_to(client: Client) -> None:
    await client.build()
    client.desk.encoder.name = "better words"
    _, rebuilt = await client.build()
    status, refused = await client.ask("POST", "/admin/index/rollback")

    assert (rebuilt["status"], rebuilt["index"]["embedding"]["encoder"]) == ("built", "better words")
    assert (status, refused["error"]["code"]) == (409, "index_mismatch")
    assert (await client.status())["index"] == rebuilt["index"]


class WiderEncoder(WordsEncoder):
    """Called as the other, but each vector has twice as many places."""

    async def dimensions(self) -> int:
        return 2 * DIMENSIONS

    async def encode(self, texts: Sequence[str], *, kind: Kind) -> list[list[float]]:
        return [vector * 2 for vector in await super().encode(texts, kind=kind)]


async def test_an_encoder_that_makes_other_vectors_under_its_name_has_everything_built_anew(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path) as desk:
        await desk.renewals.renew("docs")
    written(tmp_path / "docs", {"lion.md": "# Lion\nA lion roars.\n"})
    async with edge_desk(tmp_path, encoder=WiderEncoder()) as desk:
        built = await desk.renewals.renew("docs")

    assert built is not None
    assert built.index is not None
    assert (built.status, built.index.num_documents, built.index.embedding.dimensions) == ("built", 4, 2 * DIMENSIONS)


async def test_while_it_builds_nothing_is_rolled_back(client: Client) -> None:
    await client.build()
    await client.build(force_rebuild=True)
    building = await client.held(force_rebuild=True)
    status, refused = await client.ask("POST", "/admin/index/rollback")
    client.desk.encoder.release()
    await building

    assert (status, refused["error"]["code"]) == (409, "build_running")


async def test_an_encoder_that_goes_away_costs_only_the_time_until_it_is_back(client: Client) -> None:
    written(client.desk.docs, {f"{number:03}.md": f"# {number}\nIt is {number}.\n" for number in range(200)})
    client.desk.encoder.fails_after = 100
    status, failed = await client.build()
    done = len(client.desk.encoder.encoded)
    client.desk.encoder.fails_after = None
    client.desk.encoder.encoded.clear()
    _, built = await client.build()

    assert (status, failed["error"]["code"]) == (503, EncoderAway.code)
    assert (built["status"], built["index"]["num_chunks"]) == ("built", 203)
    assert 0 < len(client.desk.encoder.encoded) < 203
    assert done > 0


def away() -> None:
    raise EncoderAway("the encoder is away")


async def test_what_is_removed_and_moved_is_so_while_the_encoder_is_away(client: Client) -> None:
    await client.build()
    client.desk.encoder.meanwhile = away
    (client.desk.docs / "notes.txt").unlink()
    (client.desk.docs / "zebra.md").rename(client.desk.docs / "horse.md")
    _, built = await client.build()
    status, refused = await client.build(force_rebuild=True)

    assert built["message"] == "0 files read, 1 moved, 1 removed, 1 unchanged"
    assert await client.paths("engines") == []
    assert await client.paths("zebra") == ["horse.md"]
    assert (status, refused["error"]["code"]) == (503, EncoderAway.code)


async def test_an_encoder_that_was_away_is_asked_again_until_it_is_back(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path, pause=0.01) as desk:
        desk.encoder.fails_with = EncoderAway("the encoder is away")
        first, second = await desk.renewals.renew("docs"), await desk.renewals.renew("docs")
        failed = await desk.builds.status()
        while desk.tally.builds["failed"] < 4:
            await asyncio.sleep(0.001)
        desk.encoder.fails_with = None
        while (status := await desk.builds.status()).status != "ready":
            await asyncio.sleep(0.001)

    assert (first, second, failed.status, failed.error) == (None, None, "failed", "the encoder is away")
    assert status.index is not None
    assert status.index.num_documents == 3


@pytest.mark.slow
async def test_an_encoder_that_is_away_again_while_it_was_waited_for_is_asked_again_too(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path, pause=0.5) as desk:
        desk.encoder.fails_with = EncoderAway("the encoder is away")
        await desk.renewals.renew("docs")
        desk.encoder.fails_with = None
        built = await desk.renewals.renew("docs")
        desk.encoder.fails_with = EncoderAway("the encoder is away")
        written(desk.docs, {"new.md": "A giraffe is tall.\n"})
        failed = await desk.renewals.renew("docs")
        desk.encoder.fails_with = None
        async with asyncio.timeout(5):
            while not desk.tally.builds["updated"]:
                await asyncio.sleep(0.01)

    assert (built is None, failed) == (False, None)


@pytest.mark.slow
async def test_what_is_deleted_while_the_encoder_is_away_stays_deleted(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path, pause=0.5) as desk:
        desk.encoder.fails_with = EncoderAway("the encoder is away")
        await desk.renewals.renew("docs")
        await desk.builds.delete()
        tried = desk.tally.builds["failed"]
        await asyncio.sleep(1.2)

        assert desk.tally.builds["failed"] == tried


async def test_a_folder_that_may_not_be_listed_is_named_and_the_build_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root nothing is forbidden: a folder is taken away while it is walked instead."""
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "deep":
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)
    _, built = await client.build()

    assert built["index"]["skipped"] == ["deep/: permission denied"]
    assert built["index"]["num_documents"] == 2


async def test_collections_are_built_searched_listed_and_deleted_apart(client: Client) -> None:
    await client.build()
    _, built = await client.build(collection="tall", source_dir="deep")
    docs, tall = await client.paths("giraffe"), await client.paths("giraffe", collection="tall")
    none = await client.paths("zebra", collection="tall")
    _, listed = await client.ask("GET", "/admin/index/collections")
    _, deleted = await client.ask("DELETE", "/admin/index?collection=tall")

    assert (built["status"], built["index"]["num_documents"]) == ("built", 1)
    assert (docs, tall, none) == (["deep/giraffe.md"], ["giraffe.md"], [])
    assert [(one["name"], one["status"], one["index"]["num_chunks"]) for one in listed["collections"]] == [
        ("docs", "ready", 3),
        ("tall", "ready", 1),
    ]
    assert deleted["status"] == "deleted"
    assert await client.status("tall") == {"status": "not_found"}
    assert (await client.status())["status"] == "ready"
    assert client.desk.tally.chunks == 3


async def test_a_collection_remembers_its_folder(client: Client) -> None:
    await client.build(collection="tall", source_dir="deep")
    written(client.desk.docs, {"deep/new.md": "A new file.\n"})
    _, built = await client.build(collection="tall")

    assert (built["status"], built["index"]["num_documents"]) == ("updated", 2)
    assert built["index"]["source_dir"] == str(client.desk.docs / "deep")


async def test_a_collection_without_a_folder_must_be_given_one(client: Client) -> None:
    status, refused = await client.build(collection="new")

    assert (status, refused["error"]["code"]) == (400, "source_refused")


async def test_two_collections_are_built_at_once(client: Client) -> None:
    building = await client.held()
    other = asyncio.create_task(client.build(collection="tall", source_dir="deep"))
    while (await client.status("tall"))["status"] != "building":
        await asyncio.sleep(0.005)
    _, listed = await client.ask("GET", "/admin/index/collections")
    client.desk.encoder.release()
    answers = [(await building)[0], (await other)[0]]

    assert [one["status"] for one in listed["collections"]] == ["building", "building"]
    assert answers == [200, 200]


@pytest.mark.parametrize("name", ["../docs", "a b", "x" * 65, "-a", "a@1", "a/b"])
async def test_a_name_that_no_collection_can_have_is_a_400(client: Client, name: str) -> None:
    answers = [
        await client.build(collection=name),
        await client.ask("GET", f"/admin/index/status?collection={name.replace(' ', '%20')}"),
        await client.ask("POST", "/admin/index/cancel", {"collection": name}),
        await client.ask("POST", "/admin/index/rollback", {"collection": name}),
        await client.ask("DELETE", f"/admin/index?collection={name.replace(' ', '%20')}"),
    ]

    assert {(status, body["error"]["param"]) for status, body in answers} == {(400, "collection")}


async def test_the_index_of_a_killed_rebuild_is_finished_by_the_next_start(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with clients(tmp_path) as client:
        await client.build()
        building = await client.held(force_rebuild=True)
        closing = asyncio.create_task(client.desk.builds.close())
        await asyncio.sleep(0)
        client.desk.encoder.release()
        await asyncio.wait([closing, building])
    async with edge_desk(tmp_path) as desk:
        await desk.renewals.refresh()
        status = await desk.builds.status()

    assert status.previous is not None
    assert status.index is not None
    assert status.index.created_at > status.previous.created_at
