"""One whole stack for the run, and a way to give it scripted engines for a test's time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp
import httpx
import openai
import pytest

from sage_contracts.fleet import EngineKind
from tests.fakes.engine import FakeEngine
from tests.fakes.stack import Stack, local_stack


class Registered(Protocol):
    def __call__(self, *engines: FakeEngine, kind: EngineKind = "llm") -> AbstractAsyncContextManager[None]: ...


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """nginx, Valkey and the four services, without an engine; documents: this repository's own docs."""
    with local_stack(SAGE_DEMO_ENGINE="0") as running:
        documents_are_read(running)
        yield running


@pytest.fixture(scope="session")
def real_stack() -> Iterator[Stack]:
    """The stack as `make up` leaves it, with llama.cpp."""
    with local_stack() as running:
        documents_are_read(running)
        yield running


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(stack.url) as session:
        yield session


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[openai.AsyncOpenAI]:
    """The OpenAI SDK as a user sets it up; it repeats nothing by itself, so that a failure shows."""
    async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def registered(http: aiohttp.ClientSession) -> Registered:
    """Makes the stack know engines of one model for as long as the block lasts."""

    @asynccontextmanager
    async def known(*engines: FakeEngine, kind: EngineKind = "llm") -> AsyncIterator[None]:
        ids = [await register(http, engine, kind) for engine in engines]
        await until(lambda: served(http, engines[0].model))
        try:
            yield
        finally:
            for engine_id in ids:
                async with http.delete(f"/v1/management/engines/{engine_id}") as response:
                    await response.read()
            await until(lambda: gone(http, engines[0].model))

    return known


def documents_are_read(stack: Stack) -> None:
    """Return once the assistant can cite this repository's docs: a stack is up a few seconds before."""
    deadline = time.monotonic() + 60
    while httpx.get(f"{stack.url}/admin/index/status").json().get("status") != "ready":
        assert time.monotonic() < deadline, "the documents were not read in time"
        time.sleep(0.05)


async def register(http: aiohttp.ClientSession, engine: FakeEngine, kind: EngineKind) -> str:
    body = {"host": "127.0.0.1", "port": engine.port, "engine_kind": kind}
    async with http.post("/v1/management/engines/register", json=body) as response:
        told = await response.json()
        assert response.status == 200, told
        return str(told["engine_id"])


async def served(http: aiohttp.ClientSession, model: str) -> bool:
    async with http.get("/v1/models") as response:
        return response.status == 200 and model in {one["id"] for one in (await response.json())["data"]}


async def gone(http: aiohttp.ClientSession, model: str) -> bool:
    return not await served(http, model)


async def until(true: Callable[[], Awaitable[bool]], *, seconds: float = 60) -> None:
    """Ask again until it is so; TimeoutError when it is not in time."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await true():
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
