"""Redis away, the control-plane away, two of them: what callers see, and what is the same afterwards."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from control_plane.adapters.redis_registry import LEADER
from control_plane.settings import Settings
from tests.control_plane.engines import scripted_engine
from tests.control_plane.stack import ControlPlane, control_plane, eventually, process
from tests.fakes.cluster import free_port
from tests.fakes.redis_server import AWAY_SECONDS, RedisServer, redis_server

pytestmark = pytest.mark.slow

BASE = "/v1/management"


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that a test may hang or kill."""
    with redis_server() as server:
        yield server


async def test_every_route_says_within_two_seconds_that_redis_is_away(own_redis: RedisServer, tmp_path: Path) -> None:
    async with control_plane(own_redis.url, tmp_path) as plane, scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        for broken in (own_redis.kill, lambda: None):
            broken()
            await all_say_so(plane, engine.port)


async def test_every_route_says_within_two_seconds_that_redis_hangs(own_redis: RedisServer, tmp_path: Path) -> None:
    async with control_plane(own_redis.url, tmp_path) as plane, scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        own_redis.signal(signal.SIGSTOP)
        try:
            await all_say_so(plane, engine.port)
        finally:
            own_redis.signal(signal.SIGCONT)
        await plane.until("e1", "READY")


async def all_say_so(plane: ControlPlane, port: int) -> None:
    routes = [
        ("GET", "/engines", None),
        ("GET", "/engines/e1", None),
        ("GET", "/engines/e1/logs", None),
        ("DELETE", "/engines/e1", None),
        ("POST", "/engines", {"preset": "smollm2"}),
        ("POST", "/engines/start", {"preset": "smollm2"}),
        ("POST", "/engines/register", {"host": "127.0.0.1", "port": port}),
        ("POST", "/engines/stop", {"engine_id": "e1"}),
        ("POST", "/engines/e1/drain", None),
        ("POST", "/engines/e1/resume", None),
        ("POST", "/engines/prune", None),
        ("GET", "/backends", None),
        ("GET", "/status", None),
    ]

    async def timed(method: str, path: str, body: object) -> tuple[int, str, float]:
        began = time.monotonic()
        async with plane.http.request(method, plane.url + BASE + path, json=body) as response:
            told = await response.json()
            assert response.headers.get("Retry-After")
            return response.status, told["error"]["code"], time.monotonic() - began

    for route, told in zip(routes, await asyncio.gather(*(timed(*route) for route in routes)), strict=True):
        assert told[:2] == (503, "store_unavailable"), route
        assert told[2] < AWAY_SECONDS, route
    for path in ("/v1/management", "/v1/management/gpu", "/livez", "/readyz", "/metrics"):
        async with plane.http.get(plane.url + path) as response:
            assert response.status == 200, path


async def test_the_last_snapshot_is_served_while_redis_is_away(own_redis: RedisServer, tmp_path: Path) -> None:
    async with control_plane(own_redis.url, tmp_path) as plane, scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        before = await plane.fleet()
        own_redis.kill()
        began = time.monotonic()
        during = await plane.fleet()
        took = time.monotonic() - began
        await own_redis.restart()

        async def recovered() -> bool | None:
            status, _ = await plane.ask("GET", f"{BASE}/engines")
            return True if status == 200 else None

        await eventually(recovered)
        after = await plane.fleet()

    assert before == during == after
    assert took < AWAY_SECONDS


async def test_there_is_no_snapshot_to_serve_when_redis_was_never_there(tmp_path: Path) -> None:
    async with control_plane(f"redis://127.0.0.1:{free_port()}/0", tmp_path) as plane:
        status, told = await plane.ask("GET", "/internal/fleet")
        ready_status, ready = await plane.ask("GET", "/readyz")

    assert (status, told["error"]["code"]) == (503, "store_unavailable")
    assert (ready_status, ready["status"]) == (200, "degraded")


async def test_engines_are_ready_all_along_when_redis_goes_and_comes_back(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async with control_plane(own_redis.url, tmp_path) as plane, scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        version = (await plane.fleet()).version
        own_redis.kill()
        await asyncio.sleep(1)  # ten rounds of probes
        await own_redis.restart()

        async def probed_again() -> bool | None:
            status, told = await plane.ask("GET", f"{BASE}/engines/e1")
            return True if status == 200 and told["consecutive_failures"] == 0 else None

        await eventually(probed_again)
        await asyncio.sleep(0.5)

        assert (await plane.fleet()).version == version


async def test_a_pause_makes_no_errors(redis: Redis, shared_redis: RedisServer, tmp_path: Path) -> None:
    async with process(shared_redis.url, tmp_path) as (plane, running), scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        version = (await plane.fleet()).version
        os.killpg(running.pid, signal.SIGSTOP)
        await asyncio.sleep(1.5)
        os.killpg(running.pid, signal.SIGCONT)
        for _ in range(10):
            assert (await plane.engine("e1")).state == "READY"
            await asyncio.sleep(0.1)

        assert (await plane.fleet()).version == version


async def test_a_control_plane_killed_and_started_again_knows_the_same_engines(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    async with scripted_engine("a") as ready, scripted_engine("b") as draining, scripted_engine("c") as dead:
        async with process(shared_redis.url, tmp_path) as (plane, running):
            await plane.register(ready, engine_id="ready")
            await plane.register(draining, engine_id="draining")
            await plane.register(dead, engine_id="dead")
            await dead.stop()
            await plane.until("dead", "ERROR")
            await redis.zadd("sage:load", {"g": time.time()})
            await redis.hset("sage:load:g", mapping={"draining": "1"})
            await plane.ask("POST", f"{BASE}/engines/draining/drain")
            before = await plane.fleet()
            os.killpg(running.pid, signal.SIGKILL)
        async with process(shared_redis.url, tmp_path) as (plane, _):
            after = await plane.fleet()
            await dead.start()
            healed = await plane.until("dead", "READY")

    assert before == after
    assert {engine.engine_id: engine.state for engine in after.engines} == {
        "ready": "READY",
        "draining": "DRAINING",
        "dead": "ERROR",
    }
    assert healed.state == "READY"


async def test_an_engine_started_by_a_killed_control_plane_is_never_started_twice(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    presets = tmp_path / "presets.yaml"
    command = [sys.executable, "-m", "tests.control_plane.engines", "--port", "{port}"]
    presets.write_text(f"presets: [{{name: tiny, model: tiny, command: {command!r}}}]")
    env = {"SAGE_CONTROL_PLANE_PRESETS": str(presets)}
    async with process(shared_redis.url, tmp_path, **env) as (plane, running):
        engine = await plane.until((await plane.start("tiny")).engine_id, "READY")
        os.killpg(running.pid, signal.SIGKILL)
    async with process(shared_redis.url, tmp_path, SAGE_CONTROL_PLANE_STOP_ENGINES_ON_EXIT="true", **env) as (plane, _):
        await asyncio.sleep(1)  # two rounds of supervision
        found = await plane.engine(engine.engine_id)
        assert engine.pid is not None
        assert (found.state, found.pid, found.metadata["restarts"]) == ("READY", engine.pid, 0)

    async def ended() -> bool | None:
        try:
            os.kill(engine.pid or 0, 0)
        except ProcessLookupError:
            return True
        return None

    assert await eventually(ended)


async def test_one_of_two_control_planes_leads_and_the_other_takes_over(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    seconds = Settings().lease_seconds
    lease = {"SAGE_CONTROL_PLANE_LEASE_SECONDS": str(seconds)}
    async with AsyncExitStack() as stack:
        first, running = await stack.enter_async_context(process(shared_redis.url, tmp_path / "a", **lease))
        await eventually(lambda: leads(first))
        second, _ = await stack.enter_async_context(process(shared_redis.url, tmp_path / "b", **lease))
        engine = await stack.enter_async_context(scripted_engine("a"))
        await second.register(engine, engine_id="e1")
        assert not await leads(second)
        leader = await redis.get(LEADER)
        os.killpg(running.pid, signal.SIGKILL)
        began = time.monotonic()

        async def taken_over() -> bool | None:
            held = await redis.get(LEADER)
            return True if held not in {None, leader} else None

        await eventually(taken_over)
        took = time.monotonic() - began
        await engine.stop()
        failed = await second.until("e1", "ERROR")

    print(f"leader killed to another: {took:.1f} s")
    assert took < 3 * seconds
    assert failed.state == "ERROR"


async def leads(plane: ControlPlane) -> bool | None:
    async with plane.http.get(f"{plane.url}/metrics") as response:
        return True if "sage_control_plane_leader 1.0" in await response.text() else None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SAGE_CONTROL_PLANE_PROBE_SECONDS", "soon", "SAGE_CONTROL_PLANE_PROBE_SECONDS='soon'"),
        ("SAGE_CONTROL_PLANE_STATIC_ENGINES", "gpu:80", "SAGE_CONTROL_PLANE_STATIC_ENGINES: 'gpu:80'"),
        ("SAGE_CONTROL_PLANE_DNS_ENGINES", "vllm.svc", "SAGE_CONTROL_PLANE_DNS_ENGINES: "),
        ("SAGE_CONTROL_PLANE_PRESETS", "/nope.yaml", "SAGE_CONTROL_PLANE_PRESETS: presets /nope.yaml"),
        ("SAGE_CONTROL_PLANE_PORT", "70000", "SAGE_CONTROL_PLANE_PORT"),
    ],
)
async def test_a_wrong_setting_stops_the_start_in_one_sentence(name: str, value: str, told: str) -> None:
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "control_plane", env=os.environ | {name: value}, stderr=asyncio.subprocess.PIPE
    )
    _, text = await run.communicate()

    assert run.returncode not in {0, None}
    assert told in text.decode()
    assert len(text.decode().strip().splitlines()) == 1
