"""Engines come, drain, are replaced and watched while chats go on: a control-plane and a gateway on real sockets."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from chat_gateway.app import assemble, create_app
from chat_gateway.settings import Settings
from tests.control_plane.stack import ControlPlane, control_plane, eventually, process
from tests.fakes.cluster import free_port, serve
from tests.fakes.engine import FakeEngine, fake_engine
from tests.fakes.redis_server import RedisServer, redis_server

MANAGEMENT = "/v1/management/engines"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


class Gateway:
    """`failures` are the answers to a chat that were none."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.base = url
        self.url = f"{url}/v1/chat/completions"
        self.http = http
        self.failures: Counter[str] = Counter()
        self.answers = 0

    async def chat(self, model: str = "tiny") -> int:
        async with self.http.post(self.url, json=CHAT | {"model": model}) as response:
            await response.read()
            return response.status

    async def stream(self) -> bytes:
        async with self.http.post(self.url, json=CHAT | {"stream": True}) as response:
            return await response.read()

    @asynccontextmanager
    async def busy(self, workers: int = 8) -> AsyncGenerator[None]:
        """So many clients that chat one chat after the other, until the end; returns when all have ended."""
        ended = asyncio.Event()

        async def talk() -> None:
            while not ended.is_set():
                status = await self.chat()
                self.answers += 1
                if status != 200:
                    self.failures[str(status)] += 1
                await asyncio.sleep(0.005)

        talking = [asyncio.create_task(talk()) for _ in range(workers)]
        try:
            yield
        finally:
            ended.set()
            await asyncio.gather(*talking)


@asynccontextmanager
async def gateway(redis_url: str, plane_url: str) -> AsyncGenerator[Gateway]:
    nowhere = f"http://127.0.0.1:{free_port()}"
    config = Settings(
        redis_url=redis_url, control_plane_url=plane_url, session_store_url=nowhere, rag_indexer_url=nowhere
    )
    registry = CollectorRegistry()
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        serve(create_app(assemble(config, registry), registry)) as url,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        yield Gateway(url, http)


@pytest.fixture
async def redis_url(shared_redis: RedisServer) -> str:
    async with Redis.from_url(shared_redis.url) as client:
        await client.flushall()
    return shared_redis.url


async def register(plane: ControlPlane, engine: FakeEngine, engine_id: str) -> None:
    body = {"host": "127.0.0.1", "port": engine.port, "engine_id": engine_id}
    status, told = await plane.ask("POST", f"{MANAGEMENT}/register", json=body)
    assert status == 200, told


async def served(chats: Gateway, model: str = "tiny") -> bool | None:
    return True if await chats.chat(model) == 200 else None


async def listed(chats: Gateway, model: str) -> bool | None:
    async with chats.http.get(f"{chats.base}/v1/models") as response:
        return True if model in {one["id"] for one in (await response.json())["data"]} else None


async def states(plane: ControlPlane) -> dict[str, str]:
    return {engine.engine_id: engine.state for engine in await plane.engines()}


async def test_a_registered_engine_serves_within_a_second(redis_url: str, tmp_path: Path) -> None:
    """The quickest of five: a busy machine may hold up the others."""
    took = []
    async with control_plane(redis_url, tmp_path) as plane, gateway(redis_url, plane.url) as chats:
        for number in range(5):
            async with fake_engine(f"tiny-{number}") as engine:
                assert await chats.chat(engine.model) in {404, 503}
                began = time.monotonic()
                await register(plane, engine, f"e{number}")
                await eventually(lambda model=engine.model: served(chats, model))  # type: ignore[misc]
                took.append(time.monotonic() - began)

    print(f"registered to first answer: {min(took) * 1000:.0f} ms")
    assert min(took) <= 1.0


async def test_a_drain_under_40_streams_lets_each_complete_and_nothing_new_in(redis_url: str, tmp_path: Path) -> None:
    async with (
        control_plane(redis_url, tmp_path, drain_grace_seconds=2.5) as plane,
        gateway(redis_url, plane.url) as chats,
        fake_engine() as leaving,
        fake_engine() as staying,
        fake_engine("last") as last,
    ):
        await register(plane, leaving, "leaving")
        await eventually(lambda: served(chats))
        leaving.gate.clear()
        streams = [asyncio.create_task(chats.stream()) for _ in range(40)]

        async def all_there() -> bool | None:
            return True if len(leaving.seen) == 41 else None

        async def counted() -> bool | None:
            return True if (await plane.engine("leaving")).active_requests == 40 else None

        await eventually(all_there)
        await eventually(counted)
        await register(plane, staying, "staying")
        await plane.ask("POST", f"{MANAGEMENT}/leaving/drain")
        await register(plane, last, "last")
        await eventually(lambda: listed(chats, "last"))  # and so the gateway knows of what was before it
        statuses = [await chats.chat() for _ in range(20)]
        await eventually(counted)
        during = await plane.engine("leaving")
        leaving.gate.set()
        answers = await asyncio.gather(*streams)
        stopped = await plane.until("leaving", "STOPPED")

    assert (during.state, during.active_requests) == ("DRAINING", 40)
    assert statuses == [200] * 20
    assert len(leaving.seen) == 41, "it was given new work"
    assert len(staying.seen) == 20
    assert all(answer.rstrip().endswith(b"data: [DONE]") for answer in answers)
    assert stopped.active_requests == 0


async def test_a_control_plane_killed_and_started_again_costs_no_chat(redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with (
        fake_engine() as first,
        fake_engine() as second,
        gateway(redis_url, f"http://127.0.0.1:{port}") as chats,
        process(redis_url, tmp_path, SAGE_CONTROL_PLANE_PORT=str(port)) as (plane, running),
    ):
        await register(plane, first, "e1")
        await register(plane, second, "e2")
        await plane.ask("POST", f"{MANAGEMENT}/e2/drain")
        await eventually(lambda: served(chats))
        await plane.until("e2", "STOPPED")
        before = await states(plane)
        async with chats.busy():
            os.killpg(running.pid, signal.SIGKILL)
            await running.wait()
            await asyncio.sleep(1)
            async with process(redis_url, tmp_path, SAGE_CONTROL_PLANE_PORT=str(port)) as (again, _):
                await asyncio.sleep(1)
                after = await states(again)

    print(f"chats while the control-plane was killed: {chats.answers}, failed: {chats.failures.total()}")
    assert before == after == {"e1": "READY", "e2": "STOPPED"}
    assert chats.answers > 50
    assert not chats.failures


async def test_both_engines_of_a_model_are_replaced_and_no_chat_fails(redis_url: str, tmp_path: Path) -> None:
    async with (
        control_plane(redis_url, tmp_path, drain_grace_seconds=2.0) as plane,
        gateway(redis_url, plane.url) as chats,
        AsyncExitStack() as stack,
    ):
        engines = [await stack.enter_async_context(fake_engine()) for _ in range(4)]
        for number in (0, 1):
            await register(plane, engines[number], f"old-{number}")
        await eventually(lambda: served(chats))
        async with chats.busy():
            for number in (0, 1):
                await register(plane, engines[number + 2], f"new-{number}")
                await plane.ask("DELETE", f"{MANAGEMENT}/old-{number}?drain=true")
                await plane.until(f"old-{number}", "STOPPED")
                await engines[number].stop()
            before = [len(engine.seen) for engine in engines]
            await asyncio.sleep(0.5)
        after = [len(engine.seen) for engine in engines]

    print(f"chats while both engines were replaced: {chats.answers}, failed: {chats.failures.total()}")
    assert not chats.failures
    assert before[:2] == after[:2]
    assert sum(after[2:]) > sum(before[2:]) > 0


async def test_chats_do_not_notice_that_redis_is_away_for_ten_seconds(tmp_path: Path) -> None:
    with redis_server() as redis:
        async with (
            control_plane(redis.url, tmp_path) as plane,
            gateway(redis.url, plane.url) as chats,
            fake_engine() as engine,
            fake_engine() as late,
        ):
            await register(plane, engine, "e1")
            await eventually(lambda: served(chats))
            async with chats.busy(4):
                redis.kill()
                await asyncio.sleep(10)
                during = chats.answers
                await redis.restart()

                async def again() -> bool | None:
                    status, _ = await plane.ask("GET", MANAGEMENT)
                    return True if status == 200 else None

                await eventually(again)
                await register(plane, late, "late")

                async def found() -> bool | None:
                    return True if late.seen else None

                await eventually(found)
            known = await states(plane)

    print(f"chats while Redis was away: {during}, failed: {chats.failures.total()}")
    assert during > 100
    assert not chats.failures
    assert known == {"e1": "READY", "late": "READY"}


async def test_a_control_plane_away_for_thirty_rounds_finds_no_engine_in_error(redis_url: str, tmp_path: Path) -> None:
    """A minute at the usual two seconds; here the rounds are shorter."""
    port = free_port()
    async with (
        process(redis_url, tmp_path, SAGE_CONTROL_PLANE_PORT=str(port), SAGE_CONTROL_PLANE_PROBE_SECONDS="0.1") as (
            plane,
            running,
        ),
        gateway(redis_url, plane.url) as chats,
        AsyncExitStack() as stack,
    ):
        for number in range(10):
            await register(plane, await stack.enter_async_context(fake_engine()), f"e{number}")
        await eventually(lambda: served(chats))
        version = (await plane.fleet()).version
        async with chats.busy(4):
            os.killpg(running.pid, signal.SIGSTOP)
            await asyncio.sleep(3)
            os.killpg(running.pid, signal.SIGCONT)
            seen = []
            for _ in range(10):
                seen.append(await states(plane))
                await asyncio.sleep(0.1)
        after = (await plane.fleet()).version

    assert [set(one.values()) for one in seen] == [{"READY"}] * 10
    assert version == after
    assert not chats.failures
