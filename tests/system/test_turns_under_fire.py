"""Many turns while everything that holds them is killed: what was acknowledged is there, and nothing is there twice."""

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import psutil
import pytest

from tests.chat_gateway.replicas import legal, pair
from tests.fakes.engine import FakeEngine, Script, fake_engine
from tests.fakes.redis_server import RedisServer
from tests.fakes.stack import Stack
from tests.system.conftest import Registered, until

CLIENTS, TURNS = 10, 50
PARTS = ("valkey", "session-store", "chat-gateway")
RESTS_SECONDS = 0.5
"""Between a part that is back and the next kill, so that there is something to lose."""
WORD_SECONDS = 0.1
"""So that the turns last longer than it takes to kill every part."""


@pytest.fixture
async def engine(registered: Registered) -> AsyncIterator[FakeEngine]:
    async with fake_engine(f"tiny-{uuid.uuid4().hex[:8]}") as running, registered(running):
        yield running


class Talker:
    """One client in a session of its own, who sends each turn under its key until it is acknowledged."""

    def __init__(self, http: aiohttp.ClientSession, model: str) -> None:
        self.session = f"fire-{uuid.uuid4().hex[:8]}"
        self.repeats = 0
        self._http = http
        self._model = model

    async def talk(self) -> None:
        for turn in range(TURNS):
            while not await self._acknowledged(f"question {turn}", streams=bool(turn % 2)):
                self.repeats += 1
                await asyncio.sleep(0.2)

    async def messages(self) -> list[dict[str, Any]]:
        async with self._http.get(f"/sessions/{self.session}") as response:
            return list((await response.json())["messages"])

    async def _acknowledged(self, text: str, *, streams: bool) -> bool:
        body = {
            "model": self._model,
            "stream": streams,
            "session_id": self.session,
            "messages": [{"role": "user", "content": text}],
        }
        headers = {"Idempotency-Key": text.replace(" ", "-")}
        try:
            async with self._http.post("/v1/chat/completions", json=body, headers=headers) as response:
                raw = await response.read()
        except aiohttp.ClientError:
            return False
        assert response.status in {200, 404, 502, 503, 504}, (response.status, raw)
        return response.status == 200 and (not streams or b"data: [DONE]" in raw)


def killed(stack: Stack, name: str) -> None:
    parent = psutil.Process(stack.pid(name))
    for one in [*parent.children(recursive=True), parent]:
        one.send_signal(signal.SIGKILL)


async def fire(stack: Stack, http: aiohttp.ClientSession, hits: list[str]) -> None:
    """Kill one part after the other, each when the one before is back."""

    async def is_well() -> bool:
        async with http.get("/health") as response:
            return (
                response.status == 200 and (await response.json())["services"]["session-store"]["status"] == "healthy"
            )

    for name in PARTS:
        await asyncio.sleep(RESTS_SECONDS)
        await asyncio.to_thread(killed, stack, name)
        hits.append(name)
        await until(is_well, seconds=30)


async def test_every_acknowledged_turn_is_there_once_whatever_is_killed(
    stack: Stack, http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    engine.script = Script(delay=WORD_SECONDS)
    hits: list[str] = []
    firing = asyncio.create_task(fire(stack, http, hits))
    async with aiohttp.ClientSession(stack.url, connector=aiohttp.TCPConnector(limit=0)) as own:
        talkers = [Talker(own, engine.model) for _ in range(CLIENTS)]
        await asyncio.gather(*(one.talk() for one in talkers))
        firing.cancel()
        await asyncio.gather(firing, return_exceptions=True)
        await until(lambda: _readable(http), seconds=30)
        told = [await one.messages() for one in talkers]

    repeats = sum(one.repeats for one in talkers)
    print(f"{CLIENTS * TURNS} turns; killed: {' '.join(hits)}; repeats: {repeats}")
    assert (set(hits), repeats > 0) == (set(PARTS), True)
    expected = [text for turn in range(TURNS) for text in (f"question {turn}", f"You said: question {turn}")]
    assert [[one["content"] for one in messages] for messages in told] == [expected] * CLIENTS


async def test_sixteen_clients_in_one_session_over_two_replicas_lose_and_double_nothing(
    shared_redis: RedisServer,
) -> None:
    began = time.monotonic()
    async with pair(shared_redis, FakeEngine()) as both:
        answers = await asyncio.gather(*(both.client(number, TURNS) for number in range(16)))
        said = await both.said()

    print(f"{16 * TURNS} turns in one session in {time.monotonic() - began:.1f} s")
    assert {one.status for told in answers for one in told} == {200}
    assert legal(said, 16, TURNS)


async def _readable(http: aiohttp.ClientSession) -> bool:
    async with http.get("/sessions") as response:
        return response.status == 200
