"""The service as an operator calls it, over a real socket and real Edge."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from sage_contracts import sse
from sage_contracts.index import BuildEvent
from tests.rag_indexer.parts import Desk, edge_desk


class Client:
    """Each answer is its status and body."""

    def __init__(self, http: aiohttp.ClientSession, url: str, desk: Desk) -> None:
        self.http = http
        self.url = url
        self.desk = desk

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, json=body) as response:
            return response.status, await response.json()

    async def build(self, **body: object) -> tuple[int, Any]:
        return await self.ask("POST", "/admin/index/build", body or None)

    async def status(self, collection: str | None = None) -> Any:
        query = f"?collection={collection}" if collection else ""
        return (await self.ask("GET", f"/admin/index/status{query}"))[1]

    async def search(self, query: str, **body: object) -> Any:
        status, found = await self.ask("POST", "/v1/retrieval/search", {"query": query, **body})
        assert status == 200, found
        return found

    async def paths(self, query: str, **body: object) -> list[str]:
        """Where what is found stands."""
        return [passage["source"]["path"] for passage in (await self.search(query, **body))["passages"]]

    async def settled(self, collection: str | None = None) -> Any:
        """The status once no build runs."""
        while (found := await self.status(collection))["status"] == "building":
            await asyncio.sleep(0.005)
        return found

    async def events(
        self, collection: str | None = None, *, heard: Callable[[], object] = lambda: None
    ) -> list[BuildEvent]:
        """All frames, to the end of the stream; `heard` is called when one has come."""
        query = f"?collection={collection}" if collection else ""
        cutter, found = sse.Frames(), list[BuildEvent]()
        async with self.http.get(f"{self.url}/admin/index/events{query}") as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            async for piece in response.content.iter_any():
                told = [sse.data(frame) for frame in cutter.feed(piece)]
                found += [msgspec.json.decode(data, type=BuildEvent) for data in told if data is not None]
                if found:
                    heard()
        return found

    async def held(self, **body: object) -> "asyncio.Task[tuple[int, Any]]":
        """A build that is under way and stays so until the encoder is released."""
        self.desk.encoder.hold()
        task = asyncio.create_task(self.build(**body))
        assert await asyncio.to_thread(self.desk.encoder.reached.wait, 60)
        return task


@asynccontextmanager
async def clients(folder: Path, *, default: bool = True) -> AsyncGenerator[Client]:
    async with edge_desk(folder, default=default) as desk, desk.served() as url, aiohttp.ClientSession() as http:
        yield Client(http, url, desk)
