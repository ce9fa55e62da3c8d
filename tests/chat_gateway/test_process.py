"""chat-gateway as a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import msgspec
import psutil
import pytest

from sage_contracts.sse import DONE
from tests.chat_gateway.stack import CHAT, chat_body, first_frames, within
from tests.fakes.cluster import accepts, free_port
from tests.fakes.engine import Script, fake_engine
from tests.fakes.redis_server import RedisServer
from tests.fakes.services import FakeServices, fake_services

pytestmark = pytest.mark.slow


@asynccontextmanager
async def process(**env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "chat_gateway"),
        env={**os.environ, **env},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


def environment(redis: RedisServer, services: FakeServices, port: int) -> dict[str, str]:
    names = ("SESSION_STORE", "RAG_INDEXER", "CONTROL_PLANE")
    urls = {f"SAGE_{name}_URL": services.url for name in names}
    return {**urls, "SAGE_CHAT_GATEWAY_PORT": str(port), "SAGE_REDIS_URL": redis.url, "SAGE_LOG_LEVEL": "warning"}


async def test_a_stream_is_finished_and_stored_after_the_order_to_stop(shared_redis: RedisServer) -> None:
    port = free_port()
    async with fake_engine(script=Script(words=("a", "b", "c"))) as engine, fake_services() as services:
        services.serves(engine)
        async with process(**environment(shared_redis, services, port)) as gateway, aiohttp.ClientSession() as http:
            await accepts(port)
            engine.gate.clear()
            asking = asyncio.create_task(
                http.post(
                    f"http://127.0.0.1:{port}{CHAT}", data=msgspec.json.encode(chat_body(stream=True, session_id="s1"))
                )
            )
            await engine.asked.wait()
            engine.let(1)
            async with await asking as response:
                await first_frames(response, 1)
                gateway.send_signal(signal.SIGTERM)
                await refuses(port)
                engine.gate.set()

                assert (await response.read()).endswith(DONE)
            async with asyncio.timeout(30):
                assert await gateway.wait() == 0
    assert [one.content for one in services.sessions["s1"]] == ["hello", "abc"]


async def test_a_gateway_that_is_killed_in_mid_answer_holds_its_turn_no_longer_than_its_lease(
    shared_redis: RedisServer,
) -> None:
    ports = free_port(), free_port()
    async with fake_engine(script=Script(words=("a", "b", "c"))) as engine, fake_services() as services:
        services.serves(engine)
        services.turns.lease_seconds = 4.0
        async with (
            process(**environment(shared_redis, services, ports[0])) as killed,
            process(**environment(shared_redis, services, ports[1])),
            aiohttp.ClientSession() as http,
        ):
            for port in ports:
                await accepts(port)
            urls = [f"http://127.0.0.1:{port}{CHAT}" for port in ports]
            engine.gate.clear()
            engine.let(1)
            body = msgspec.json.encode(chat_body("first", stream=True, session_id="s1"))
            async with http.post(urls[0], data=body) as response:
                await first_frames(response, 1)
                kill_all(killed.pid)
            second = msgspec.json.encode(chat_body("second", session_id="s1"))
            asking = asyncio.create_task(http.post(urls[1], data=second))
            await within(services.turns.asked_to_wait)
            engine.gate.set()
            async with await asking as response:
                assert response.status == 200
    told = [(one.content, one.metadata.get("status")) for one in services.sessions["s1"]]
    assert told == [("first", "unanswered"), ("second", None), ("abc", None)]
    assert [one["content"] for one in engine.seen[1].body["messages"]] == ["second"]


def kill_all(pid: int) -> None:
    """The process and its worker, at once."""
    parent = psutil.Process(pid)
    for one in [parent, *parent.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # a worker ends with its parent
            one.kill()


async def refuses(port: int) -> None:
    """Return when nothing listens on `port` any more."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.01)


async def test_a_wrong_setting_stops_the_start_and_is_named() -> None:
    async with process(SAGE_CHAT_GATEWAY_IDLE_SECONDS="soon") as gateway:
        _, told = await gateway.communicate()

    assert gateway.returncode == 2
    assert b"chat-gateway: SAGE_CHAT_GATEWAY_IDLE_SECONDS='soon'" in told
