"""Documents that are handed over: kept, indexed, told of, deleted."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sage_contracts.errors import BuildRunning, EncoderAway
from sage_contracts.index import SearchRequest
from sage_contracts.uploads import NewDocument
from tests.fakes.bad_bodies import BAD_BODIES
from tests.rag_indexer.clients import Client, clients
from tests.rag_indexer.parts import Desk, edge_desk, written

ROUTE = "/admin/index/documents"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[Client]:
    async with clients(tmp_path, default=False) as found:
        yield found


async def upload(client: Client, *documents: dict[str, Any], **more: object) -> tuple[int, Any]:
    return await client.ask("POST", ROUTE, {"documents": list(documents), **more})


async def as_form(client: Client, files: dict[str, bytes], query: str = "") -> tuple[int, Any]:
    form = aiohttp.FormData()
    for name, data in files.items():
        form.add_field("file", data, filename=name, content_type="application/octet-stream")
    async with client.http.post(f"{client.url}{ROUTE}{query}", data=form) as response:
        return response.status, await response.json()


async def test_what_is_uploaded_can_be_found_at_once(client: Client) -> None:
    status, uploaded = await upload(client, {"name": "zebra.md", "text": "# Zebra\nA zebra is striped.\n"})
    (document,) = uploaded["documents"]
    found = await client.search("striped")

    assert (status, uploaded["indexed"], uploaded["skipped"]) == (200, True, [])
    assert (document["name"], document["path"], document["bytes"]) == ("zebra.md", "uploads/zebra.md", 28)
    assert (document["collection"], document["meta"]) == ("docs", {})
    assert found["passages"][0]["source"]["path"] == "uploads/zebra.md"


async def test_a_form_does_as_well(client: Client) -> None:
    status, uploaded = await as_form(client, {"zebra.md": b"A zebra is striped.\n", "b.txt": b"A giraffe is tall.\n"})

    assert (status, [one["name"] for one in uploaded["documents"]]) == (200, ["zebra.md", "b.txt"])
    assert await client.paths("tall") == ["uploads/b.txt"]


async def test_a_form_may_name_a_collection_and_not_wait(client: Client) -> None:
    status, uploaded = await as_form(client, {"a.md": b"A zebra.\n"}, "?collection=zoo&wait=false")
    await client.desk.renewals.renew("zoo")

    assert (status, uploaded["indexed"], uploaded["documents"][0]["collection"]) == (200, False, "zoo")
    assert await client.paths("zebra", collection="zoo") == ["uploads/a.md"]


async def test_bytes_can_be_uploaded_as_base64(client: Client) -> None:
    data = base64.b64encode("数据库\n".encode()).decode()
    status, uploaded = await upload(client, {"name": "zh.md", "content_base64": data})

    assert (status, uploaded["documents"][0]["bytes"]) == (200, 10)


async def test_uploads_stand_beside_the_folder(tmp_path: Path) -> None:
    written(
        tmp_path / "docs",
        {"zebra.md": "A zebra is striped.\n", "uploads/a.md": "hidden\n", "uploads/b.md": "A lion roars.\n"},
    )
    async with clients(tmp_path) as client:
        await client.build()
        status, _ = await upload(client, {"name": "a.md", "text": "A giraffe is tall.\n"})
        index = (await client.status())["index"]

        assert (status, index["num_documents"], index["source_dir"]) == (200, 3, str(client.desk.docs))
        assert index["skipped"] == ["uploads/a.md: an uploaded document has its path"]
        assert await client.paths("giraffe") == ["uploads/a.md"]
        assert await client.paths("roars") == ["uploads/b.md"]
        assert await client.paths("hidden") == []


async def test_a_name_taken_before_is_replaced(client: Client) -> None:
    _, first = await upload(client, {"name": "a.md", "text": "A zebra is striped.\n"})
    _, second = await upload(client, {"name": "a.md", "text": "A giraffe is tall.\n"})
    _, listed = await client.ask("GET", ROUTE)

    assert [one["id"] for one in listed["documents"]] == [first["documents"][0]["id"]]
    assert second["documents"][0]["created_at"] == first["documents"][0]["created_at"]
    assert (await client.paths("zebra"), await client.paths("giraffe")) == ([], ["uploads/a.md"])


async def test_what_is_said_of_a_document_is_in_its_passages_and_filters_them(client: Client) -> None:
    text = "---\nteam: theirs\ntopic: animals\n---\nA zebra is striped.\n"
    await upload(client, {"name": "a.md", "text": text, "meta": {"team": "ours", "tags": ["x", "y"]}})
    meta = (await client.search("striped"))["passages"][0]["meta"]
    await upload(client, {"name": "a.md", "text": text, "meta": {"team": "others"}})

    assert meta == {"team": "ours", "topic": "animals", "tags": ["x", "y"]}
    assert await client.paths("striped", filters={"meta": {"team": "ours"}}) == []
    assert await client.paths("striped", filters={"meta": {"team": "others"}}) == ["uploads/a.md"]


async def test_a_document_is_listed_told_and_deleted_with_its_passages(client: Client) -> None:
    _, uploaded = await upload(client, {"name": "b.md", "text": "A zebra.\n"}, {"name": "a.md", "text": "A giraffe.\n"})
    first, second = uploaded["documents"]
    _, listed = await client.ask("GET", ROUTE)
    told = await client.ask("GET", f"{ROUTE}/{first['id']}")
    deleted = await client.ask("DELETE", f"{ROUTE}/{first['id']}")

    assert listed == {"documents": [second, first]}
    assert told == (200, first)
    assert deleted == (200, {"status": "deleted", "id": first["id"]})
    assert (await client.paths("zebra"), await client.paths("giraffe")) == ([], ["uploads/a.md"])
    assert (await client.ask("GET", ROUTE))[1] == {"documents": [second]}


async def test_a_document_is_deleted_with_its_passages_where_the_folder_is_away(tmp_path: Path) -> None:
    written(tmp_path / "docs", {"lion.md": "A lion roars.\n"})
    async with clients(tmp_path) as client:
        _, uploaded = await upload(client, {"name": "a.md", "text": "A zebra.\n"})
        (tmp_path / "docs").rename(tmp_path / "unmounted")
        status, _ = await client.ask("DELETE", f"{ROUTE}/{uploaded['documents'][0]['id']}")
        index = (await client.status())["index"]
        gone, there = await client.paths("zebra"), await client.paths("roars")
        (tmp_path / "unmounted").rename(tmp_path / "docs")
        _, built = await client.build()

    assert (status, gone, there) == (200, [], ["lion.md"])
    assert (index["num_documents"], index["num_chunks"]) == (1, 1)
    assert built["status"] == "already_exists"


async def test_a_document_is_deleted_with_its_passages_while_the_encoder_is_away(client: Client) -> None:
    _, uploaded = await upload(client, {"name": "a.md", "text": "A zebra.\n"}, {"name": "b.md", "text": "A lion.\n"})
    client.desk.encoder.fails_with = EncoderAway("the encoder is away")
    await upload(client, {"name": "c.md", "text": "A giraffe\nis tall.\n"})
    status, _ = await client.ask("DELETE", f"{ROUTE}/{uploaded['documents'][0]['id']}")
    client.desk.encoder.fails_with = None

    assert (status, await client.paths("zebra"), await client.paths("lion")) == (200, [], ["uploads/b.md"])


async def test_a_document_is_deleted_without_what_a_failed_build_of_another_folder_had_come_to(client: Client) -> None:
    written(client.desk.docs, {"here/lion.md": "A lion roars.\n", "there/horse.md": "A horse\nis fast.\n"})
    await client.build(source_dir="here")
    _, uploaded = await upload(client, {"name": "a.md", "text": "A zebra.\n"})
    client.desk.encoder.fails_with = EncoderAway("the encoder is away")
    failed, _ = await client.build(source_dir="there")
    written(client.desk.docs, {"here/more.md": "A wolf\nhowls.\n"})
    status, _ = await client.ask("DELETE", f"{ROUTE}/{uploaded['documents'][0]['id']}")
    client.desk.encoder.fails_with = None
    index = (await client.status())["index"]

    assert (failed, status, index["num_documents"]) == (503, 200, 1)
    assert (await client.paths("zebra"), await client.paths("roars")) == ([], ["lion.md"])


async def test_a_document_deleted_while_another_process_builds_cannot_be_found_soon_after(tmp_path: Path) -> None:
    async with edge_desk(tmp_path, default=False, pause=0.01) as desk:
        new = [NewDocument(name="a.md", text="A zebra.\n"), NewDocument(name="b.md", text="A lion.\n")]
        uploaded = await desk.uploads.add(desk.uploads.accepted(new), None, wait=True)
        async with desk.collections.hold("docs"):
            with pytest.raises(BuildRunning):
                await desk.uploads.delete(uploaded.documents[0].id, None)
        async with asyncio.timeout(30):
            while await zebras(desk):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("again", [False, True])
async def test_it_is_so_where_the_folder_is_away_too_unless_it_was_uploaded_again(tmp_path: Path, again: bool) -> None:
    written(tmp_path / "docs", {"lion.md": "A lion roars.\n"})
    async with edge_desk(tmp_path, pause=0.01) as desk:
        new = desk.uploads.accepted([NewDocument(name="a.md", text="A zebra.\n")])
        uploaded = await desk.uploads.add(new, None, wait=True)
        (tmp_path / "docs").rename(tmp_path / "unmounted")
        async with desk.collections.hold("docs"):
            with pytest.raises(BuildRunning):
                await desk.uploads.delete(uploaded.documents[0].id, None)
            if again:
                await desk.uploads.add(new, None, wait=True)
        async with asyncio.timeout(30):
            while len(await zebras(desk)) != again:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

        assert await zebras(desk) == ["uploads/a.md"] * again


async def zebras(desk: Desk) -> list[str]:
    return [one.source.path for one in (await desk.searches.find(SearchRequest(query="zebra"))).passages]


@pytest.mark.slow
async def test_many_documents_are_deleted_at_once_while_the_encoder_is_away(client: Client) -> None:
    _, uploaded = await upload(client, *({"name": f"{number}.md", "text": "A zebra.\n"} for number in range(4)))
    client.desk.encoder.fails_with = EncoderAway("the encoder is away")
    await upload(client, {"name": "c.md", "text": "A giraffe\nis tall.\n"})
    answers = await asyncio.gather(
        *(client.ask("DELETE", f"{ROUTE}/{document['id']}") for document in uploaded["documents"])
    )
    client.desk.encoder.fails_with = None

    assert [status for status, _ in answers] == [200] * 4
    assert await client.paths("zebra") == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("key", ["0" * 24, "a.json", "x" * 300, "0" * 24 + "?collection=other"])
@pytest.mark.slow
async def test_a_document_that_is_not_there_is_a_404(client: Client, method: str, key: str) -> None:
    await upload(client, {"name": "a.md", "text": "A zebra.\n"})
    status, refused = await client.ask(method, f"{ROUTE}/{key}")

    assert (status, refused["error"]["code"]) == (404, "document_not_found")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.md", "passwd.md"),
        ("C:\\docs\\a.md", "a.md"),
        ("a\0\n\u202e.md", "a.md"),
        ("...hidden.md", "hidden.md"),
        ("no suffix", "no suffix.txt"),
        ("数据库.md", "数据库.md"),
        ("x" * 240 + ".md", "x" * 197 + ".md"),
    ],
)
@pytest.mark.slow
async def test_names_are_cleaned(client: Client, tmp_path: Path, given: str, kept: str) -> None:
    status, uploaded = await upload(client, {"name": given, "text": "A zebra is striped.\n"})

    assert (status, [one["name"] for one in uploaded["documents"]]) == (200, [kept])
    assert await client.paths("zebra") == [f"uploads/{kept}"]
    assert {path.parent for path in tmp_path.rglob("*.json") if len(path.stem) == 24} == {
        tmp_path / "data" / "uploads" / "docs"
    }


@pytest.mark.parametrize(
    "document",
    [
        {"name": "a.md"},
        {"name": "a.md", "text": "x", "content_base64": "eA=="},
        {"name": "a.md", "content_base64": "not base64!"},
        {"name": "", "text": "x"},
        {"name": "/", "text": "x"},
        {"name": "...", "text": "x"},
        {"name": "a.exe", "text": "x"},
        {"name": "a.md", "text": "x" * 100_001},
        {"name": "a.md", "text": "x", "meta": {"a": {"b": 1}}},
        {"name": "a.md", "text": "x", "meta": {"a": [1]}},
        {"name": "a.md", "text": "x", "meta": {str(number): 1 for number in range(65)}},
        {"name": "x" * 256, "text": "x"},
    ],
)
async def test_a_document_that_could_never_be_indexed_is_refused_and_none_is_kept(
    client: Client, document: dict[str, Any]
) -> None:
    status, refused = await upload(client, {"name": "good.md", "text": "good"}, document)

    assert (status, refused["error"]["code"]) == (400, "invalid_request")
    assert (await client.ask("GET", ROUTE))[1] == {"documents": []}


async def test_a_file_of_another_kind_is_refused_in_one_short_sentence(client: Client) -> None:
    _, refused = await upload(client, {"name": "a.exe", "text": "x"})

    assert refused["error"]["message"] == "a.exe: files that end in .exe cannot be read"


async def test_a_document_that_cannot_be_read_is_kept_and_named(client: Client) -> None:
    status, uploaded = await as_form(client, {"bad.md": b"\0", "good.md": b"A zebra is striped.\n"})

    assert (status, uploaded["indexed"]) == (200, True)
    assert uploaded["skipped"] == ["uploads/bad.md: binary, not text"]
    assert await client.paths("zebra") == ["uploads/good.md"]


async def test_many_uploads_at_once_are_all_found(client: Client) -> None:
    answers = await asyncio.gather(
        *(upload(client, {"name": f"{number}.md", "text": f"Animal number{number} sleeps.\n"}) for number in range(8))
    )

    assert {(status, uploaded["indexed"]) for status, uploaded in answers} == {(200, True)}
    assert (await client.status())["index"]["num_documents"] == 8


async def test_a_form_without_a_file_is_a_400(client: Client) -> None:
    form = aiohttp.FormData({"file": "just text", "other": "x"}, default_to_multipart=True)
    async with client.http.post(client.url + ROUTE, data=form) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", [b"", b"no boundary", b"--x\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\n"])
@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
async def test_a_broken_form_is_a_400(client: Client, body: bytes, kind: str) -> None:
    async with client.http.post(client.url + ROUTE, data=body, headers={"content-type": kind}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_body_that_is_no_upload_is_a_400(client: Client, name: str) -> None:
    headers = {"content-type": "application/json"}
    async with client.http.post(client.url + ROUTE, data=BAD_BODIES[name], headers=headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_request")


async def test_uploads_are_there_again_after_a_restart(tmp_path: Path) -> None:
    async with clients(tmp_path, default=False) as first:
        await upload(first, {"name": "a.md", "text": "A zebra is striped.\n"})
    async with clients(tmp_path, default=False) as second:
        _, listed = await second.ask("GET", ROUTE)
        _, built = await second.build()

        assert [one["name"] for one in listed["documents"]] == ["a.md"]
        assert built["status"] == "already_exists"


async def test_a_first_build_that_was_not_finished_is_made_by_the_next_start(tmp_path: Path) -> None:
    async with clients(tmp_path, default=False) as client:
        client.desk.encoder.hold()
        await upload(client, {"name": "a.md", "text": "A zebra is striped.\n"}, collection="zoo", wait=False)
        await client.desk.builds.close()
        before = await client.status("zoo")
    async with clients(tmp_path, default=False) as client:
        await client.desk.renewals.refresh()
        found = await client.paths("striped", collection="zoo")

    assert (before["status"], found) == ("not_found", ["uploads/a.md"])


async def test_deleting_an_index_leaves_the_uploads_for_the_next_build(client: Client) -> None:
    await upload(client, {"name": "a.md", "text": "A zebra is striped.\n"})
    await client.ask("DELETE", "/admin/index")
    _, built = await client.build()

    assert (built["status"], built["index"]["num_documents"]) == ("built", 1)


async def test_where_uploads_cannot_be_kept_it_is_a_503(client: Client, tmp_path: Path) -> None:
    (tmp_path / "data" / "uploads").write_text("a file")
    status, refused = await upload(client, {"name": "a.md", "text": "A zebra.\n"})

    assert (status, refused["error"]["code"]) == (503, "store_unavailable")
