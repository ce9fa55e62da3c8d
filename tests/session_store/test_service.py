"""The whole service as it is deployed: wired by its own settings, with Redis present, away, hung and back."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from session_store.app import assemble, create_app
from session_store.settings import Settings
from tests.fakes.cluster import free_port, serve
from tests.fakes.redis_server import AWAY_SECONDS, RedisServer, redis_server

TURN = {"turn_id": "1", "messages": [{"role": "user", "content": "hello"}]}
ROUTES = [
    ("GET", "/sessions", None),
    ("POST", "/sessions", {}),
    ("GET", "/sessions/s1", None),
    ("DELETE", "/sessions/s1", None),
    ("POST", "/sessions/s1/clear", None),
    ("PATCH", "/sessions/s1/title", {"title": "x"}),
    ("POST", "/sessions/cleanup", None),
    ("GET", "/internal/sessions/stats", None),
    ("POST", "/internal/sessions/s1/context", {}),
    ("POST", "/internal/sessions/s1/turns/append", TURN),
    ("GET", "/memory/stats", None),
]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as own:
        yield own


@asynccontextmanager
async def running(redis_url: str, **config: Any) -> AsyncGenerator[aiohttp.ClientSession]:
    registry = CollectorRegistry()
    app = create_app(assemble(Settings(redis_url=redis_url, **config), registry), registry)
    async with serve(app) as url, aiohttp.ClientSession(url) as http:
        yield http


async def status(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> int:
    async with http.request(method, path, json=body) as response:
        await response.read()
        return response.status


async def away(http: aiohttp.ClientSession) -> list[str]:
    """The routes that did not say, within two seconds, that the store is away and when to come back."""
    wrong: list[str] = []

    async def ask(method: str, path: str, body: object) -> None:
        began = time.monotonic()
        async with http.request(method, path, json=body) as response:
            code = (await response.json()).get("error", {}).get("code")
        seconds = time.monotonic() - began
        told = (response.status, code, int(response.headers.get("Retry-After", 0)) > 0, seconds < AWAY_SECONDS)
        if told != (503, "store_unavailable", True, True):
            wrong.append(f"{method} {path}: {told}, {seconds:.2f} s")

    await asyncio.gather(*(ask(*route) for route in ROUTES))
    return wrong


async def readiness(http: aiohttp.ClientSession) -> tuple[int, dict[str, Any]]:
    async with http.get("/readyz") as response:
        return response.status, await response.json()


async def until_ready(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(10):
        while (await readiness(http))[0] != 200:
            await asyncio.sleep(0.02)


async def test_a_redis_that_is_gone_is_a_503_on_every_route_and_over_by_itself(server: RedisServer) -> None:
    async with running(server.url) as http:
        stored = await status(http, "POST", "/internal/sessions/s1/turns/append", TURN)
        server.kill()
        wrong = await away(http)
        unready, told = await readiness(http)
        config = await status(http, "GET", "/memory/config")
        await server.restart()
        kept = await status(http, "GET", "/sessions/s1")
        again = await status(http, "POST", "/internal/sessions/s1/turns/append", TURN)

    assert wrong == []
    assert (unready, told["status"], told["checks"]["redis"]["ok"]) == (503, "not_ready", False)
    assert (stored, config, kept, again) == (200, 200, 200, 200)


async def test_a_redis_that_hangs_is_a_503_on_every_route_within_two_seconds(server: RedisServer) -> None:
    async with running(server.url) as http:
        await status(http, "POST", "/internal/sessions/s1/turns/append", TURN)
        server.signal(signal.SIGSTOP)
        try:
            wrong = await away(http)
            unready, _ = await readiness(http)
        finally:
            server.signal(signal.SIGCONT)
        await until_ready(http)
        kept = await status(http, "GET", "/sessions")

    assert (wrong, unready, kept) == ([], 503, 200)


async def test_the_service_starts_without_redis_and_becomes_ready(server: RedisServer) -> None:
    server.kill()
    async with running(server.url) as http:
        live = await status(http, "GET", "/livez")
        unready, _ = await readiness(http)
        await server.restart()
        await until_ready(http)
        stored = await status(http, "POST", "/internal/sessions/s1/turns/append", TURN)

    assert (live, unready, stored) == (200, 503, 200)


async def test_readiness_shows_how_durable_redis_is(server: RedisServer) -> None:
    async with running(server.url) as http:
        _, told = await readiness(http)

    assert told["status"] == "ready"
    assert (
        told["checks"]["durability"]["detail"]
        == "appendonly is yes, maxmemory-policy is noeviction, appendfsync is always"
    )


async def test_sessions_expire_as_set(server: RedisServer) -> None:
    async with running(server.url, ttl="0.2s") as http:
        await status(http, "POST", "/internal/sessions/s1/turns/append", TURN)
        there = await status(http, "GET", "/sessions/s1")
        async with asyncio.timeout(5):
            while await status(http, "GET", "/sessions/s1") != 404:
                await asyncio.sleep(0.02)
        async with http.get("/sessions") as response:
            listed = await response.json()

    assert there == 200
    assert (listed["sessions"], listed["stats"]) == ([], {"total_sessions": 0, "total_messages": 0})


async def test_turns_and_contexts_are_counted(server: RedisServer) -> None:
    async with running(server.url) as http:
        for _ in range(2):
            await status(http, "POST", "/internal/sessions/s1/turns/append", TURN)
        await status(http, "POST", "/internal/sessions/s1/context", {"budget_tokens": 0})
        async with http.get("/metrics") as response:
            metrics = (await response.text()).splitlines()

    assert 'sage_session_store_turns_total{outcome="stored"} 1.0' in metrics
    assert 'sage_session_store_turns_total{outcome="repeated"} 1.0' in metrics
    assert 'sage_session_store_context_messages_total{outcome="dropped"} 1.0' in metrics


async def test_many_clients_on_one_session_over_two_replicas_lose_and_double_nothing(server: RedisServer) -> None:
    """Each turn is sent twice at once, to either replica, as a client that lost its answer would repeat it."""
    clients, turns = 16, 20
    async with running(server.url) as one, running(server.url) as other:

        async def talk(client: int) -> None:
            for number in range(turns):
                name = f"{client}-{number}"
                body = {
                    "turn_id": name,
                    "messages": [{"role": "user", "content": f"q{name}"}, {"role": "assistant", "content": f"a{name}"}],
                }
                path = "/internal/sessions/shared/turns/append"
                both = await asyncio.gather(*(status(replica, "POST", path, body) for replica in (one, other)))
                assert both == [200, 200]

        await asyncio.gather(*(talk(client) for client in range(clients)))
        async with other.get("/sessions/shared") as response:
            session = await response.json()
        async with one.get("/internal/sessions/stats") as response:
            stats = await response.json()

    contents = [message["content"] for message in session["messages"]]
    names = [content[1:] for content in contents[::2]]
    assert contents == [f"{letter}{name}" for name in names for letter in "qa"]
    assert len(names) == len(set(names)) == clients * turns
    assert [[name for name in names if name.startswith(f"{client}-")] for client in range(clients)] == [
        [f"{client}-{number}" for number in range(turns)] for client in range(clients)
    ]
    assert stats == {"total_sessions": 1, "total_messages": clients * turns * 2}


async def test_the_service_runs_as_a_program_and_stops_when_told(server: RedisServer) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        _program(),
        env={
            "SAGE_REDIS_URL": server.url,
            "SAGE_SESSION_STORE_PORT": str(port),
            "SAGE_LOG_LEVEL": "warning",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
        stderr=asyncio.subprocess.PIPE,
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with asyncio.timeout(20):
            while True:
                try:
                    ready, _ = await readiness(http)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
                else:
                    break
        stored = await status(http, "POST", "/internal/sessions/s1/turns/append", TURN)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        _, told = await process.communicate()

    assert (ready, stored, process.returncode) == (200, 200, 0)
    assert b"Traceback" not in told


def _program() -> str:
    return str(Path(sys.executable).with_name("session-store"))
