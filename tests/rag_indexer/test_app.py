"""The whole service as it is assembled: what it does at start, what it says of itself."""

import asyncio
import io
import os
import zipfile
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from rag_indexer.adapters.edge_passages import edge_collections
from rag_indexer.app import assemble, create_app, loops
from rag_indexer.domain.ports import Collections, Holder, Passages, no_build
from rag_indexer.domain.watching import Watching
from rag_indexer.settings import Settings
from sage_chassis.background import running
from sage_contracts.errors import StoreUnavailable
from sage_contracts.index import Job
from tests.fakes.cluster import free_port, serve
from tests.rag_indexer.parts import Tally, desk_over, written

pytestmark = pytest.mark.slow

GATEWAY = {"gateway.md": "# Gateway\n\nThe gateway listens on port 8000 and chooses an engine for each request.\n"}
ZEBRA = {"zebra.md": "# Zebra\n\nA zebra is an animal with stripes, and it runs fast.\n"}


@asynccontextmanager
async def service(config: Settings) -> AsyncGenerator["Service"]:
    registry = CollectorRegistry()
    async with serve(create_app(assemble(config, registry), registry)) as url, aiohttp.ClientSession() as http:
        yield Service(http, url)


class Service:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def get(self, path: str) -> tuple[int, Any]:
        async with self._http.get(self._url + path) as response:
            text = await response.text()
            return response.status, text if path == "/metrics" else await response.json()

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        async with self._http.post(self._url + path, json=body) as response:
            return response.status, await response.json()

    async def settled(self) -> Any:
        while (found := (await self.get("/admin/index/status"))[1])["status"] == "building":
            await asyncio.sleep(0.01)
        return found

    async def indexed(self) -> Any:
        """The index that the build at start makes."""
        async with asyncio.timeout(60):
            while (found := await self.settled())["status"] != "ready":
                await asyncio.sleep(0.01)
        return found["index"]


def config(folder: Path, **changes: object) -> Settings:
    fields: dict[str, object] = {"source_dir": str(folder / "docs"), "data_dir": str(folder / "data"), **changes}
    return Settings(**fields)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path / "docs", GATEWAY)
    return tmp_path


async def test_the_configured_folder_is_indexed_at_the_first_start(folder: Path) -> None:
    async with service(config(folder)) as running:
        index = await running.indexed()
        _, found = await running.post("/v1/retrieval/search", {"query": "Which port does the gateway listen on?"})

    assert (index["num_documents"], index["source_dir"]) == (1, str(folder / "docs"))
    assert index["embedding"] == {"encoder": "wordllama-l2-supercat", "dimensions": 256}
    assert found["passages"][0]["source"]["path"] == "gateway.md"


async def test_a_later_start_brings_the_index_up_to_date(folder: Path) -> None:
    async with service(config(folder)) as first:
        before = await first.indexed()
    async with service(config(folder)) as second:
        await asyncio.sleep(0)
        same = await second.indexed()
    written(folder / "docs", ZEBRA)
    async with service(config(folder)) as third:
        async with asyncio.timeout(60):
            while (after := await third.indexed())["num_documents"] == 1:
                await asyncio.sleep(0.01)

    assert same == before
    assert (after["num_documents"], after["created_at"]) == (2, before["created_at"])


async def test_a_folder_that_a_user_chose_is_kept_at_the_next_start(folder: Path) -> None:
    written(folder / "chosen", ZEBRA)
    both = config(folder, allowed_roots=(str(folder),))
    async with service(both) as first:
        await first.indexed()
        await first.post("/admin/index/build", {"source_dir": "chosen"})
    async with service(both) as second:
        index = await second.indexed()

    assert index["source_dir"] == str(folder / "chosen")


async def test_another_configured_folder_takes_the_place_of_the_one_before(folder: Path) -> None:
    written(folder / "other", ZEBRA)
    async with service(config(folder)) as first:
        await first.indexed()
    async with service(config(folder, source_dir=str(folder / "other"))) as second:
        async with asyncio.timeout(60):
            while (index := await second.indexed())["source_dir"] != str(folder / "other"):
                await asyncio.sleep(0.01)

    assert index["num_documents"] == 1


async def test_a_folder_that_may_not_be_indexed_any_more_leaves_the_index_as_it_is(folder: Path) -> None:
    written(folder / "chosen", ZEBRA)
    async with service(config(folder, allowed_roots=(str(folder),), build_at_start=False)) as first:
        await first.post("/admin/index/build", {"source_dir": "chosen"})
    async with service(config(folder)) as second:
        index = await second.indexed()

    assert index["source_dir"] == str(folder / "chosen")


@pytest.mark.parametrize("changes", [{"build_at_start": False}, {"source_dir": ""}, {"source_dir": "/nowhere/at/all"}])
async def test_where_nothing_is_to_be_built_the_service_starts_without_an_index(
    folder: Path, changes: dict[str, object]
) -> None:
    async with service(config(folder, **changes)) as running:
        ready, status = await running.get("/readyz"), await running.get("/admin/index/status")

    assert status == (200, {"status": "not_found"})
    assert ready[0] == 200
    assert ready[1]["checks"] == {"store": {"ok": True, "detail": "no index yet"}}


async def test_it_is_ready_with_an_index(folder: Path) -> None:
    async with service(config(folder)) as running:
        await running.indexed()
        status, ready = await running.get("/readyz")

    assert (status, ready["status"], ready["checks"]) == (200, "ready", {"store": {"ok": True}})


async def test_searches_and_builds_are_counted(folder: Path) -> None:
    async with service(config(folder)) as running:
        await running.indexed()
        await running.post("/v1/retrieval/search", {"query": "chocolate cake"})
        _, text = await running.get("/metrics")

    assert 'sage_rag_indexer_searches_total{outcome="no_evidence"} 1.0' in text
    assert 'sage_rag_indexer_builds_total{outcome="built"} 1.0' in text
    assert "sage_rag_indexer_passages_count 1.0" in text
    assert "sage_rag_indexer_search_duration_seconds_count 1.0" in text


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning")
async def test_a_qdrant_server_that_is_away_is_a_503_and_not_ready(folder: Path) -> None:
    away = config(folder, store="server", qdrant_url=f"http://127.0.0.1:{free_port()}", qdrant_api_key="k")
    async with service(away) as running:
        answers = [
            await running.get("/admin/index/status"),
            await running.post("/v1/retrieval/search", {"query": "x"}),
            await running.post("/admin/index/build", {}),
        ]
        status, ready = await running.get("/readyz")

    assert [(code, body["error"]["code"]) for code, body in answers] == [(503, "store_unavailable")] * 3
    assert (status, ready["status"]) == (503, "not_ready")


async def test_a_folder_that_is_watched_from_the_start_is_followed(folder: Path) -> None:
    async with service(config(folder, watch=True)) as running:
        await running.indexed()
        async with asyncio.timeout(60):
            while not (await running.get("/admin/index/status"))[1].get("watching"):
                await asyncio.sleep(0.01)
            written(folder / "docs", ZEBRA)
            while (await running.indexed())["num_documents"] == 1:
                await asyncio.sleep(0.05)


class AwayOnce:
    """Collections that cannot be named the second time."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._asked = 0

    async def names(self) -> list[str]:
        self._asked += 1
        if self._asked == 2:
            raise StoreUnavailable("the store is away")
        return await self._collections.names()

    async def open(self, name: str) -> Passages:
        return await self._collections.open(name)

    def hold(self, name: str, job: Callable[[], Job | None] = no_build) -> AbstractAsyncContextManager[asyncio.Event]:
        return self._collections.hold(name, job)

    async def holder(self, name: str) -> Holder | None:
        return await self._collections.holder(name)


class FirstLook:
    """A watcher that notes what was built before it was first asked."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.built: asyncio.Future[dict[str, int]] = asyncio.Future()

    async def changes(self, path: str) -> AsyncGenerator[None]:
        self.built.set_result(dict(self._tally.builds))
        await asyncio.Event().wait()
        yield


async def test_a_store_that_is_away_when_watching_begins_has_nothing_built_again(folder: Path) -> None:
    async with edge_collections(folder / "data") as found:
        collections = AwayOnce(found)
        desk = desk_over(collections, folder / "docs", folder / "data")
        watcher = FirstLook(desk.tally)
        watching = Watching(collections, desk.builds, desk.renewals, watcher)
        async with asyncio.timeout(60), running(*loops(config(folder, watch=True), desk.renewals, watching)):
            built = await watcher.built
        await watching.close()
        await desk.builds.close()

    assert built == {"built": 1}


async def test_where_all_are_watched_a_collection_that_is_built_later_is_too(folder: Path) -> None:
    async with service(config(folder, watch=True)) as running:
        await running.indexed()
        await running.post("/admin/index/build", {"collection": "later", "source_dir": str(folder / "docs")})
        async with asyncio.timeout(60):
            while not (await running.get("/admin/index/status?collection=later"))[1].get("watching"):
                await asyncio.sleep(0.05)


async def test_what_would_do_harm_is_named_and_the_rest_is_indexed(folder: Path) -> None:
    docs = folder / "docs"
    written(
        docs,
        {
            "lines.txt": "A line about a giraffe.\n" * 100_000,
            "one_line.txt": b"zebra " * 8_000_000,
            "long_line.md": "lion " * 200_000,
            "broken.pdf": b"%PDF-1.7 and no more",
            "bomb.docx": _bomb(50_000_000),
            "deep.json": "[" * 100_000,
            "broken.ipynb": "{",
            "nul.md": b"a\0b",
        },
    )
    os.mkfifo(docs / "pipe.md")
    (docs / "out.md").symlink_to("/etc/hostname")
    (docs / "loop.md").symlink_to(docs / "loop.md")
    (docs / "gone.md").symlink_to(docs / "nowhere.md")
    async with service(config(folder)) as running:
        index = await running.indexed()
        status, found = await running.post("/v1/retrieval/search", {"query": "Which port does the gateway listen on?"})
    named = {line.split(": ", 1)[0] for line in index["skipped"]}

    assert {"one_line.txt", "broken.pdf", "bomb.docx", "broken.ipynb", "nul.md"} <= named
    assert {"pipe.md", "out.md", "loop.md", "gone.md"} <= named
    assert {"gateway.md", "lines.txt", "long_line.md"}.isdisjoint(named)
    assert (status, found["passages"][0]["source"]["path"]) == (200, "gateway.md")


def _bomb(size: int) -> bytes:
    """A small archive that is a large document."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b"<w:t>" + b"x" * size + b"</w:t>")
    return data.getvalue()


def test_the_allowed_roots_are_the_configured_folder_unless_they_are_named() -> None:
    assert Settings(source_dir="/docs").roots == ("/docs",)
    assert Settings(source_dir="/docs", allowed_roots=("/a", "/b")).roots == ("/a", "/b")
    assert Settings().roots == ()
