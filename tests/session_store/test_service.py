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

pytestmark = pytest.mark.slow

ASKED = [{"role": "user", "content": "hello"}]
ANSWER = {"role": "assistant", "content": "hello yourself"}
OPEN = {"turn_id": "1", "messages": ASKED, "digest": "d"}
HELD = {"turn_id": "1", "token": 1, "branch": "main"}
ROUTES = [
    ("GET", "/sessions", None),
    ("POST", "/sessions", {}),
    ("GET", "/sessions/s1", None),
    ("DELETE", "/sessions/s1", None),
    ("POST", "/sessions/s1/clear", None),
    ("PATCH", "/sessions/s1/title", {"title": "x"}),
    ("POST", "/sessions/cleanup", None),
    ("GET", "/internal/sessions/stats", None),
    ("POST", "/sessions/s1/fork", {}),
    ("GET", "/sessions/s1/branches", None),
    ("POST", "/sessions/s1/branches/main/select", None),
    ("POST", "/internal/sessions/s1/turns", OPEN),
    ("POST", "/internal/sessions/s1/turns/renew", HELD),
    ("POST", "/internal/sessions/s1/turns/commit", {**HELD, "messages": ASKED}),
    ("POST", "/internal/sessions/s1/turns/abandon", HELD),
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


@asynccontextmanager
async def two_replicas() -> AsyncGenerator[tuple[aiohttp.ClientSession, aiohttp.ClientSession]]:
    """On one Redis that is not made to wait for its disk."""
    with redis_server(fsync="everysec") as server:
        async with running(server.url) as one, running(server.url) as other:
            yield one, other


async def status(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> int:
    async with http.request(method, path, json=body) as response:
        await response.read()
        return response.status


async def talk(http: aiohttp.ClientSession, session_id: str = "s1", turn_id: str = "1") -> int:
    """A whole turn; the status of its commit, or of its opening when it was answered before or could not be opened."""
    path = f"/internal/sessions/{session_id}/turns"
    async with http.post(path, json={**OPEN, "turn_id": turn_id}) as response:
        opened = await response.json()
    if response.status != 200 or opened["answered"] is not None:
        return response.status
    held = {name: opened[name] for name in ("turn_id", "token", "branch")}
    return await status(http, "POST", f"{path}/commit", {**held, "messages": [*ASKED, ANSWER]})


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
    async with asyncio.timeout(30):
        while (await readiness(http))[0] != 200:
            await asyncio.sleep(0.02)


async def test_a_redis_that_is_gone_is_a_503_on_every_route_and_over_by_itself(server: RedisServer) -> None:
    async with running(server.url) as http:
        stored = await talk(http)
        server.kill()
        wrong = await away(http)
        unready, told = await readiness(http)
        config = await status(http, "GET", "/memory/config")
        await server.restart()
        kept = await status(http, "GET", "/sessions/s1")
        again = await talk(http)

    assert wrong == []
    assert (unready, told["status"], told["checks"]["redis"]["ok"]) == (503, "not_ready", False)
    assert (stored, config, kept, again) == (200, 200, 200, 200)


async def test_a_redis_that_hangs_is_a_503_on_every_route_within_two_seconds(server: RedisServer) -> None:
    async with running(server.url) as http:
        await talk(http)
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
        stored = await talk(http)

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
    async with running(server.url, ttl="2s") as http:
        await talk(http)
        there = await status(http, "GET", "/sessions/s1")
        async with asyncio.timeout(30):
            while await status(http, "GET", "/sessions/s1") != 404:
                await asyncio.sleep(0.02)
        async with http.get("/sessions") as response:
            listed = await response.json()

    assert there == 200
    assert (listed["sessions"], listed["stats"]) == ([], {"total_sessions": 0, "total_messages": 0})


async def test_turns_and_contexts_are_counted(server: RedisServer) -> None:
    async with running(server.url) as http:
        for _ in range(2):
            await talk(http)
        await status(http, "POST", "/internal/sessions/s1/turns", {**OPEN, "turn_id": "2", "budget_tokens": 0})
        async with http.get("/metrics") as response:
            metrics = (await response.text()).splitlines()

    assert 'sage_session_store_turns_total{outcome="stored"} 1.0' in metrics
    assert 'sage_session_store_turns_total{outcome="opened"} 2.0' in metrics
    assert 'sage_session_store_turns_total{outcome="replayed"} 1.0' in metrics
    assert 'sage_session_store_context_messages_total{outcome="dropped"} 2.0' in metrics


async def test_many_clients_on_one_session_over_two_replicas_lose_and_double_nothing() -> None:
    """
    Sixteen clients, fifty turns each, each turn begun on one replica and committed on the other, and committed twice at
    once, as by a gateway that lost its answer.
    """
    clients, turns = 16, 50
    told_before: dict[str, list[str]] = {}
    async with two_replicas() as (one, other):

        async def turn(replica: aiohttp.ClientSession, another: aiohttp.ClientSession, name: str) -> None:
            path, asked = "/internal/sessions/shared/turns", [{"role": "user", "content": f"q{name}"}]
            async with replica.post(path, json={"turn_id": name, "messages": asked}) as response:
                opened = await response.json()
                assert response.status == 200, opened
            told_before[name] = [message["content"] for message in opened["context"]["messages"]]
            held = {field: opened[field] for field in ("turn_id", "token", "branch")}
            body = {**held, "messages": [*asked, {"role": "assistant", "content": f"a{name}"}]}
            both = [status(each, "POST", f"{path}/commit", body) for each in (another, replica)]
            assert await asyncio.gather(*both) == [200, 200]

        async def talk_on(client: int) -> None:
            for number in range(turns):
                replicas = (one, other) if (client + number) % 2 else (other, one)
                await turn(*replicas, f"{client}-{number}")

        await asyncio.gather(*(talk_on(client) for client in range(clients)))
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
    for place, name in enumerate(names):
        # Each was told all that was said before it, as far back as is told at all.
        assert told_before[name] == contents[max(0, 2 * place - 40) : 2 * place]
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
        async with asyncio.timeout(60):
            while True:
                try:
                    ready, _ = await readiness(http)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
                else:
                    break
        stored = await talk(http)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        _, told = await process.communicate()

    assert (ready, stored, process.returncode) == (200, 200, 0)
    assert b"Traceback" not in told


def _program() -> str:
    return str(Path(sys.executable).with_name("session-store"))
