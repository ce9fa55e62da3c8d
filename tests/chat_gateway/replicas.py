"""Gateways with session-stores of their own, all over one Valkey."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from sage_contracts import names
from session_store.adapters.redis_keys import part
from session_store.app import assemble, create_app
from session_store.domain.records import SessionKey
from session_store.settings import Settings
from tests.chat_gateway.stack import Answered, Gateway, gateway
from tests.fakes.apps import served
from tests.fakes.engine import FakeEngine
from tests.fakes.redis_server import RedisServer


@asynccontextmanager
async def store(redis: RedisServer, port: int | None = None) -> AsyncGenerator[str]:
    async with served(create_app, partial(assemble, Settings(redis_url=redis.url)), port) as url:
        yield url


@dataclass(frozen=True)
class Pair:
    """Two gateways, each with a session-store of its own; `store_url` is that of the first."""

    gates: tuple[Gateway, Gateway]
    store_url: str
    session: str

    async def chat(self, text: str = "hello", gate: int = 0, **fields: Any) -> Answered:
        return await self.gates[gate].chat(text, session_id=self.session, **fields)

    async def asked(self, method: str, path: str, body: object = None) -> Any:
        async with self.gates[0].http.request(method, f"{self.store_url}{path}", json=body) as response:
            return await response.json()

    async def read(self, branch: str = "main") -> list[dict[str, Any]]:
        told = await self.asked("GET", f"/sessions/{self.session}?branch={branch}")
        return list(told["messages"])

    async def said(self, branch: str = "main") -> list[str]:
        return [one["content"] for one in await self.read(branch)]

    async def said_in(self, session: str) -> list[str]:
        told = await self.asked("GET", f"/sessions/{session}")
        return [one["content"] for one in told.get("messages", [])]

    async def in_line(self, turns: int) -> None:
        """Return when so many turns of the session wait for others."""
        key = part(SessionKey(names.LOCAL_OWNER, self.session), "waiting")
        async with asyncio.timeout(30):
            while await self.gates[0].redis.hlen(key) != turns:
                await asyncio.sleep(0.005)

    async def client(self, number: int, turns: int) -> list[Answered]:
        """One of many that talk in this session at once, each with a replica of its own."""
        return [await self.chat(f"{number}/{turn}", gate=number % 2) for turn in range(turns)]


@asynccontextmanager
async def pair(redis: RedisServer, *engines: FakeEngine, **settings: Any) -> AsyncGenerator[Pair]:
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(store(redis)) for _ in range(2)]
        one = await stack.enter_async_context(gateway(redis, *engines, session_store_url=urls[0], **settings))
        two = await stack.enter_async_context(gateway(redis, beside=one, session_store_url=urls[1], **settings))
        yield Pair((one, two), urls[0], f"s-{uuid.uuid4().hex[:8]}")


def legal(said: list[str], clients: int, turns: int) -> bool:
    """Whether `said` is every turn of `Pair.client`, once, each with its own answer, and each client's in order."""
    questions = said[::2]
    order = [[questions.index(f"{number}/{turn}") for turn in range(turns)] for number in range(clients)]
    return (
        said[1::2] == [f"You said: {question}" for question in questions]
        and len(questions) == len(set(questions)) == clients * turns
        and all(before < after for places in order for before, after in pairwise(places))
    )
