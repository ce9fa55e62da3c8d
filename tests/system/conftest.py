"""One whole stack for the run, and a way to give it scripted engines for a test's time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import openai
import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.stack import Stack, local_stack

Registered = Callable[[FakeEngine], AbstractAsyncContextManager[None]]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """nginx, Valkey and the four services, without an engine; documents: this repository's own docs."""
    with local_stack(SAGE_DEMO_ENGINE="0") as running:
        yield running


@pytest.fixture(scope="session")
def real_stack() -> Iterator[Stack]:
    """The stack as `make up` leaves it, with llama.cpp."""
    with local_stack() as running:
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
    """Makes the stack know an engine for as long as the block lasts."""

    @asynccontextmanager
    async def known(engine: FakeEngine, kind: str = "llm") -> AsyncIterator[None]:
        body = {"host": "127.0.0.1", "port": engine.port, "engine_kind": kind}
        async with http.post("/v1/management/engines/register", json=body) as response:
            told = await response.json()
            assert response.status == 200, told
        await until(lambda: served(http, engine.model))
        try:
            yield
        finally:
            async with http.delete(f"/v1/management/engines/{told['engine_id']}") as response:
                await response.read()
            await http.post("/v1/management/engines/prune")
            await until(lambda: gone(http, engine.model))

    return known


async def served(http: aiohttp.ClientSession, model: str) -> bool:
    async with http.get("/v1/models") as response:
        return response.status == 200 and model in {one["id"] for one in (await response.json())["data"]}


async def gone(http: aiohttp.ClientSession, model: str) -> bool:
    return not await served(http, model)


async def until(true: Callable[[], Awaitable[bool]], *, seconds: float = 15) -> None:
    """Ask again until it is so; TimeoutError when it is not in time."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await true():
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
