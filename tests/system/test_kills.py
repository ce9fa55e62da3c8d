"""Five hundred turns while Redis, session-store and chat-gateway are killed in turn: all are kept, none is doubled."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import psutil
import pytest

from tests.fakes.engine import FakeEngine, fake_engine
from tests.fakes.stack import Stack
from tests.system.conftest import Registered

SESSIONS = 10
TURNS = 50
KILLED = ("valkey", "session-store", "chat-gateway", "valkey", "session-store", "chat-gateway")
"""One after each so many turns, while the others go on."""

STEP = SESSIONS * TURNS // (len(KILLED) + 1) + 1
AGAIN_SECONDS = 0.1


@pytest.fixture
async def engine(registered: Registered) -> AsyncIterator[FakeEngine]:
    async with fake_engine(f"tiny-{uuid.uuid4().hex[:8]}") as running, registered(running):
        yield running


@dataclass
class Talk:
    """One client with a session of its own, who repeats each turn under its key until it is answered."""

    http: aiohttp.ClientSession
    model: str
    session: str = field(default_factory=lambda: f"killed-{uuid.uuid4().hex[:8]}")
    repeated: int = 0

    async def turn(self, number: int) -> str:
        key, text = f"{self.session}-{number}", f"question {number}"
        ask = self.streamed if number % 2 else self.answered
        while True:
            try:
                found = await ask(key, text)
            except (aiohttp.ClientError, TimeoutError):
                found = None
            if found is not None:
                return found
            self.repeated += 1
            await asyncio.sleep(AGAIN_SECONDS)

    async def answered(self, key: str, text: str) -> str | None:
        async with self.posted(key, text, stream=False) as response:
            if response.status != 200:
                await self.may_repeat(response)
                return None
            return str((await response.json())["choices"][0]["message"]["content"])

    async def streamed(self, key: str, text: str) -> str | None:
        """Acknowledged by its end alone: what breaks off before `[DONE]` was no answer."""
        said, ended = "", False
        async with self.posted(key, text, stream=True) as response:
            if response.status != 200:
                await self.may_repeat(response)
                return None
            async for line in response.content:
                if line.strip() == b"data: [DONE]":
                    ended = True
                elif line.startswith(b"data: "):
                    for choice in json.loads(line[6:]).get("choices", []):
                        said += choice["delta"].get("content") or ""
        return said if ended else None

    def posted(self, key: str, text: str, *, stream: bool) -> aiohttp.client._RequestContextManager:
        body = {
            "model": self.model,
            "stream": stream,
            "session_id": self.session,
            "messages": [{"role": "user", "content": text}],
        }
        return self.http.post("/v1/chat/completions", json=body, headers={"Idempotency-Key": key})

    async def may_repeat(self, response: aiohttp.ClientResponse) -> None:
        """What is refused for good would be asked for ever."""
        told = await response.text()
        assert response.status in {409, 500, 502, 503, 504}, told

    async def kept(self) -> list[tuple[str, str]]:
        async with self.http.get(f"/sessions/{self.session}") as response:
            assert response.status == 200, await response.text()
            return [(one["role"], one["content"]) for one in (await response.json())["messages"]]


async def runs(stack: Stack, name: str) -> psutil.Process:
    async with asyncio.timeout(120):
        while not (pid := await asyncio.to_thread(stack.pid, name)):
            await asyncio.sleep(0.2)
    return psutil.Process(pid)


def kill(process: psutil.Process) -> None:
    """`kill -9`, its workers too: the supervisor starts it again."""
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # a worker ends with its parent
            one.kill()


class Pace:
    """How far the clients are: each kill hits some turns under way, and the next turns find nobody there."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._done = 0
        self._allowed = STEP

    async def may_begin(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._done < self._allowed)

    async def ended(self) -> None:
        async with self._changed:
            self._done += 1
            self._changed.notify_all()

    async def almost_all(self) -> None:
        """Of the turns that may begin are answered: the others are under way."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._done >= self._allowed - SESSIONS // 2)

    async def go_on(self) -> None:
        async with self._changed:
            self._allowed += STEP
            self._changed.notify_all()


@pytest.mark.timeout(600)
async def test_every_acknowledged_turn_is_there_once_whatever_is_killed(stack: Stack, engine: FakeEngine) -> None:
    acknowledged: dict[str, list[str]] = {}
    pace = Pace()

    async def talked(talk: Talk) -> None:
        answers = acknowledged.setdefault(talk.session, [])
        for number in range(TURNS):
            await pace.may_begin()
            answers.append(await talk.turn(number))
            await pace.ended()

    async def kills() -> None:
        for name in KILLED:
            process = await runs(stack, name)
            await pace.almost_all()
            kill(process)
            await pace.go_on()

    limits = aiohttp.ClientTimeout(total=90)
    async with aiohttp.ClientSession(stack.url, timeout=limits) as http, asyncio.timeout(400):
        talks = [Talk(http, engine.model) for _ in range(SESSIONS)]
        async with asyncio.TaskGroup() as group:
            group.create_task(kills())
            for talk in talks:
                group.create_task(talked(talk))
        kept = {talk.session: await talk.kept() for talk in talks}

    expected = [
        one
        for number in range(TURNS)
        for one in (("user", f"question {number}"), ("assistant", f"You said: question {number}"))
    ]
    assert {name: turns for name, turns in kept.items() if turns != expected} == {}
    assert set(map(tuple, acknowledged.values())) == {tuple(content for role, content in expected if role != "user")}
    assert sum(talk.repeated for talk in talks) >= len(KILLED)
