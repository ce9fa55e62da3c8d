"""Scripted engines, and a gateway that tells of them: the two things a client talks to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from sage_contracts.errors import ErrorBody, NoEngineAvailable
from sage_contracts.management import Backends, BackendView
from tests.fakes.engine import FakeEngine, fake_engine
from tests.fakes.front_door import listening

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def view(
    name: str,
    url: str = "http://127.0.0.1:1",
    *,
    model: str = "tiny",
    healthy: bool = True,
    available: bool = True,
    active: int = 0,
) -> BackendView:
    return BackendView(
        instance_id=name,
        host="127.0.0.1",
        port=int(url.rpartition(":")[2]),
        model_name=model,
        base_url=url,
        is_healthy=healthy,
        is_available=healthy and available,
        active_requests=active,
        max_concurrent_requests=8,
        metadata={},
    )


def told(llm: list[BackendView], embedding: list[BackendView] | None = None) -> Backends:
    embedding = embedding or []
    return Backends(
        llm_backends=llm,
        embedding_backends=embedding,
        total_llm_backends=len(llm),
        total_embedding_backends=len(embedding),
        healthy_llm_backends=sum(one.is_healthy for one in llm),
        healthy_embedding_backends=sum(one.is_healthy for one in embedding),
        timestamp=NOW,
    )


class Gateway:
    """Tells `backends`; `refreshed` is set whenever it was asked for them."""

    def __init__(self) -> None:
        self.url = ""
        self.backends = told([])
        self.times = 0
        self.refreshed = asyncio.Event()
        self.away = False

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/management/backends", self._tell)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _tell(self, _: web.Request) -> web.Response:
        self.times += 1
        self.refreshed.set()
        if self.away:
            return web.Response(status=502, text="<html>")
        return web.json_response(body=msgspec.json.encode(self.backends))

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "sage-default", "created": 1, "owned_by": "sage"}]})

    async def _chat(self, _: web.Request) -> web.Response:
        body: ErrorBody = NoEngineAvailable("no engine is READY: run `sage llm engine start PRESET`").body()
        return web.json_response(body=msgspec.json.encode(body), status=503)


@asynccontextmanager
async def gateway() -> AsyncGenerator[Gateway]:
    one = Gateway()
    async with listening(one.app()) as port:
        one.url = f"http://127.0.0.1:{port}"
        yield one


@asynccontextmanager
async def fleet(*, engines: int = 2) -> AsyncGenerator[tuple[Gateway, list[FakeEngine]]]:
    """Engines of the model `tiny`, asked in the order they are in while nothing else tells them apart."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(gateway())
        running = [await stack.enter_async_context(fake_engine()) for _ in range(engines)]
        views = [view(f"e{number}", engine.url) for number, engine in enumerate(running)]
        one.backends = told(views, [view("v", running[0].url)])
        yield one, running
