"""Engines fail, heal, drain and go; over real sockets and a real Redis."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs
from redis.asyncio import Redis

from control_plane.adapters.redis_registry import RedisRegistry
from control_plane.domain.records import Record
from sage_chassis import redis_client
from sage_chassis.bus import Bus
from sage_contracts import names
from sage_contracts.management import EngineLoad
from tests.control_plane.engines import ScriptedEngine, scripted_engine
from tests.control_plane.stack import ControlPlane, control_plane, eventually, process
from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.slow

BASE = "/v1/management/engines"


@asynccontextmanager
async def busy(redis: Redis, **counts: int) -> AsyncGenerator[None]:
    """A gateway that says it has so many requests at each engine, as chat-gateway does."""
    await redis.zadd(names.LOAD_INDEX, {"gateway-1": time.time()})
    await redis.hset(names.LOAD_KEY + "gateway-1", mapping={name: str(count) for name, count in counts.items()})
    try:
        yield
    finally:
        await redis.delete(names.LOAD_KEY + "gateway-1")


async def test_a_dead_engine_is_an_error_after_three_probes_and_healed_by_one(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        await engine.stop()
        failed = await plane.until("e1", "ERROR")
        await engine.start()
        healed = await plane.until("e1", "READY")

        async def counted() -> bool | None:
            return True if (await plane.engine("e1")).consecutive_failures == 0 else None

        await eventually(counted)

    assert failed.consecutive_failures <= 3
    assert failed.metadata["source"] == "registered"
    assert healed.created_at == failed.created_at


@pytest.mark.parametrize("health", [500, 503, 302, 401])
async def test_an_engine_that_answers_badly_is_an_error(plane: ControlPlane, health: int) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        engine.health = health

        assert (await plane.until("e1", "ERROR")).state == "ERROR"


async def test_an_engine_that_hangs_is_an_error(redis: Redis, shared_redis: RedisServer, tmp_path: Path) -> None:
    async with (
        control_plane(shared_redis.url, tmp_path, probe_timeout_seconds=0.3) as plane,
        scripted_engine() as engine,
    ):
        await plane.register(engine, engine_id="e1", model_id="tiny")
        await plane.until("e1", "READY")
        engine.health = None

        assert (await plane.until("e1", "ERROR")).state == "ERROR"


async def test_one_dead_engine_does_not_hold_up_the_others(plane: ControlPlane) -> None:
    async with scripted_engine("a") as alive, scripted_engine("b") as dead:
        await plane.register(alive, engine_id="alive")
        await plane.register(dead, engine_id="dead")
        await dead.stop()
        await plane.until("dead", "ERROR")

        assert (await plane.engine("alive")).state == "READY"


async def test_an_engine_that_never_comes_up_is_an_error_in_the_end(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    async with control_plane(shared_redis.url, tmp_path, start_seconds=1.5) as plane:
        body = {"host": "127.0.0.1", "port": 9, "engine_id": "never", "model_id": "m"}
        _, starting = await plane.ask("POST", f"{BASE}/register", json=body)
        failed = await plane.until("never", "ERROR")

    assert starting["state"] == "STARTING"
    assert failed.uptime_seconds >= 1.5


async def test_probes_change_no_version(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        first = await plane.register(engine, engine_id="e1")
        version = (await plane.fleet()).version

        async def seen_again() -> bool | None:
            seen = (await plane.engine("e1")).last_heartbeat
            return True if seen and first.last_heartbeat and seen > first.last_heartbeat else None

        await eventually(seen_again)

        assert (await plane.fleet()).version == version


async def test_every_change_is_hinted_with_its_version(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, aclosing(Bus(redis).listen(names.FLEET_CHANNEL)) as hints:
        assert await anext(hints) == ""
        await plane.register(engine, engine_id="e1")
        registered = int(await anext(hints))
        assert registered == (await plane.fleet()).version
        await plane.ask("DELETE", f"{BASE}/e1")
        removed = int(await anext(hints))

        assert removed == (await plane.fleet()).version > registered


async def test_active_requests_are_the_sum_of_what_gateways_say(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1", max_concurrent_requests=5)
        await redis.zadd(names.LOAD_INDEX, {"g2": time.time(), "gone": time.time() - 1000})
        await redis.hset(names.LOAD_KEY + "g2", mapping={"e1": "2", "other": "9"})
        await redis.hset(names.LOAD_KEY + "gone", mapping={"e1": "50"})
        async with busy(redis, e1=3):
            told = await plane.engine("e1")
            _, backends = await plane.ask("GET", "/v1/management/backends")
            _, status = await plane.ask("GET", "/v1/management/status")

    assert told.active_requests == 5
    assert backends["llm_backends"][0]["is_available"] is False
    assert status["control_plane"]["running_requests"] == 5


async def test_a_drained_engine_is_stopped_when_its_last_request_is_done(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        async with busy(redis, e1=2):
            told = await plane.stop("e1", drain=True)
            fleet = (await plane.fleet()).engines[0].state
            for _ in range(3):
                await asyncio.sleep(0.3)  # several rounds, in which nothing may happen
                draining = await plane.engine("e1")
                assert (draining.state, draining.active_requests) == ("DRAINING", 2)
        stopped = await plane.until("e1", "STOPPED")

    assert (told.stopped, told.drained, told.status) == (False, False, "DRAINING")
    assert fleet == "DRAINING"
    assert "drain_deadline" in draining.metadata
    assert (stopped.active_requests, stopped.uptime_seconds) == (0, 0)


async def test_a_drain_ends_at_its_deadline_whatever_is_left(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, busy(redis, e1=2):
        await plane.register(engine, engine_id="e1")
        await plane.stop("e1", drain=True, deadline_seconds=0.3)

        assert (await plane.until("e1", "STOPPED")).active_requests == 2


async def test_a_drain_lasts_at_least_the_grace(redis: Redis, shared_redis: RedisServer, tmp_path: Path) -> None:
    async with control_plane(shared_redis.url, tmp_path, drain_grace_seconds=1.2) as plane, scripted_engine() as engine:
        await plane.register(engine, engine_id="e1")
        began = time.monotonic()
        await plane.stop("e1", drain=True)
        await plane.until("e1", "STOPPED")

    assert time.monotonic() - began >= 1.2


async def test_a_drain_again_keeps_its_deadline_unless_given_another(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, busy(redis, e1=1):
        await plane.register(engine, engine_id="e1")
        _, first = await plane.ask("POST", f"{BASE}/e1/drain")
        _, second = await plane.ask("DELETE", f"{BASE}/e1?drain=true")
        again = await plane.engine("e1")
        await plane.stop("e1", drain=True, deadline_seconds=50)
        other = await plane.engine("e1")

    assert second == {"engine_id": "e1", "stopped": False, "drained": False, "status": "DRAINING"}
    assert first["metadata"]["drain_deadline"] == again.metadata["drain_deadline"]
    assert other.metadata["drain_deadline"] < again.metadata["drain_deadline"]


async def test_a_draining_engine_that_dies_does_not_come_back(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, busy(redis, e1=1):
        await plane.register(engine, engine_id="e1")
        await plane.ask("POST", f"{BASE}/e1/drain")
        await engine.stop()

        async def missed() -> bool | None:
            return True if (await plane.engine("e1")).consecutive_failures > 4 else None

        await eventually(missed)
        await engine.start()
        state = (await plane.engine("e1")).state

    assert state == "DRAINING"


async def test_a_resumed_engine_is_ready_at_once(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, busy(redis, e1=1):
        await plane.register(engine, engine_id="e1")
        await plane.ask("POST", f"{BASE}/e1/drain")
        status, told = await plane.ask("POST", f"{BASE}/e1/resume")

    assert (status, told["state"]) == (200, "READY")
    assert "drain_deadline" not in told["metadata"]


async def test_a_resumed_engine_that_does_not_answer_is_starting(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, busy(redis, e1=1):
        await plane.register(engine, engine_id="e1")
        await plane.ask("POST", f"{BASE}/e1/drain")
        engine.health = 503
        status, told = await plane.ask("POST", f"{BASE}/e1/resume")

    assert (status, told["state"]) == (200, "STARTING")


async def test_resuming_an_engine_that_does_not_drain_changes_nothing(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        version = (await plane.fleet()).version
        status, told = await plane.ask("POST", f"{BASE}/e1/resume")

        assert (status, told["state"]) == (200, "READY")
        assert (await plane.fleet()).version == version


async def test_a_stopped_engine_cannot_be_resumed(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        await plane.stop("e1", drain=True)
        await plane.until("e1", "STOPPED")
        status, told = await plane.ask("POST", f"{BASE}/e1/resume")
        drained = await plane.stop("e1", drain=True)

    assert (status, told["error"]["code"]) == (409, "conflict")
    assert (drained.stopped, drained.drained, drained.status) == (True, True, "STOPPED")


async def test_a_stopped_engine_lives_again_when_it_is_registered_again(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine, scripted_engine("a") as other:
        await plane.register(engine, engine_id="e1")
        await plane.stop("e1", drain=True)
        stopped = await plane.until("e1", "STOPPED")
        again = await plane.register(other, engine_id="e1")

    assert (again.state, again.port) == ("READY", other.port)
    assert again.created_at > stopped.created_at


async def test_registering_again_does_not_undo_a_drain(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, busy(redis, e1=1):
        await plane.register(engine, engine_id="e1")
        await plane.ask("POST", f"{BASE}/e1/drain")

        assert (await plane.register(engine, engine_id="e1")).state == "DRAINING"


async def test_a_registered_engine_that_is_stopped_at_once_is_gone(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        told = await plane.ask("DELETE", f"{BASE}/e1")
        status, _ = await plane.ask("GET", f"{BASE}/e1")

    assert told == (200, {"engine_id": "e1", "stopped": True, "drained": True, "status": "STOPPED"})
    assert status == 404
    assert (await plane.fleet()).engines == []


async def test_stopping_a_busy_engine_at_once_says_what_was_cut_off(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, busy(redis, e1=1):
        await plane.register(engine, engine_id="e1")
        told = await plane.stop("e1")

    assert (told.stopped, told.drained) == (True, False)


async def test_pruning_forgets_what_is_stopped_or_failed(plane: ControlPlane) -> None:
    async with scripted_engine("a") as stays, scripted_engine("b") as dies, scripted_engine("c") as leaves:
        await plane.register(stays, engine_id="stays")
        await plane.register(dies, engine_id="dies")
        await plane.register(leaves, engine_id="leaves")
        await dies.stop()
        await plane.stop("leaves", drain=True)
        await plane.until("dies", "ERROR")
        await plane.until("leaves", "STOPPED")
        told = await plane.ask("POST", f"{BASE}/prune")

        assert told == (200, {"pruned_count": 2, "status": "success"})
        assert [engine.engine_id for engine in await plane.engines()] == ["stays"]


async def test_static_engines_are_registered_when_they_answer(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    async with scripted_engine("a", "nomic-embed-text") as engine:
        await engine.stop()
        async with control_plane(shared_redis.url, tmp_path, static_engines=(engine.url,)) as plane:
            assert await plane.engines() == []
            await engine.start()

            async def both() -> dict[str, str] | None:
                found = {one.model_id: one.engine_kind for one in await plane.engines()}
                return dict(found) if len(found) == 2 else None

            kinds = await eventually(both)
            sources = {one.metadata["source"] for one in await plane.engines()}

    assert kinds == {"a": "llm", "nomic-embed-text": "embedding"}
    assert sources == {"static"}


async def test_a_static_engine_no_longer_named_is_forgotten_and_a_drained_one_stays_so(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    async with scripted_engine("a") as kept, scripted_engine("b") as dropped, scripted_engine("c") as added:

        async def run(other: ScriptedEngine, *models: str) -> list[tuple[str, str]]:
            urls = (kept.url, other.url)
            async with control_plane(shared_redis.url, tmp_path, static_engines=urls) as plane:

                async def all_there() -> bool | None:
                    return True if {one.model_id for one in await plane.engines()} == set(models) else None

                await eventually(all_there)
                [first] = [one.engine_id for one in await plane.engines() if one.model_id == "a"]
                if "READY" in (await plane.engine(first)).state:
                    await plane.stop(first, drain=True)
                    await plane.until(first, "STOPPED")
                return sorted((one.model_id, one.state) for one in await plane.engines())

        before = await run(dropped, "a", "b")
        after = await run(added, "a", "c")

    assert before == [("a", "STOPPED"), ("b", "READY")]
    assert after == [("a", "STOPPED"), ("c", "READY")]


async def test_five_hundred_engines_are_probed_without_falling_behind(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    """At the default interval of two seconds."""

    async def tell(_: int) -> None:
        """Nobody listens yet."""

    async with scripted_engine("a") as engine, redis_client.connect(shared_redis.url) as client:
        registry = RedisRegistry(client, tell)
        record = Record(
            engine_id="e",
            model_id="a",
            host="127.0.0.1",
            port=engine.port,
            state="READY",
            source="registered",
            created_at=0.0,
        )
        for number in range(500):
            await registry.swap(old=None, new=structs.replace(record, engine_id=f"e{number}"))
        env = {"SAGE_CONTROL_PLANE_PROBE_SECONDS": "2", "SAGE_CONTROL_PLANE_LEASE_SECONDS": "4"}
        async with process(shared_redis.url, tmp_path, **env) as (plane, _):

            async def oldest() -> float:
                """How long ago that engine was seen whose sighting is the oldest."""
                engines = await plane.engines()
                now = time.time()
                ages = [now - one.last_heartbeat.timestamp() for one in engines if one.last_heartbeat]
                assert len(engines) == 500
                assert {one.state for one in engines} == {"READY"}
                return max(ages) if len(ages) == 500 else math.inf

            async def kept_up() -> bool | None:
                """For two rounds in a row: on a busy machine another may have been late."""
                for _ in range(8):
                    if await oldest() >= 4.0:
                        return None
                    await asyncio.sleep(0.5)
                return True

            assert await eventually(kept_up), "rounds are left out again and again"


async def test_an_engine_s_own_load_is_shown_and_changes_no_version(plane: ControlPlane, redis: Redis) -> None:
    async with scripted_engine("a") as engine, scripted_engine("b") as silent:
        engine.metrics = b"vllm:num_requests_running 3\nvllm:num_requests_waiting 2\nvllm:kv_cache_usage_perc 0.5\n"
        await plane.register(engine, engine_id="e1")
        await plane.register(silent, engine_id="e2")
        version = (await plane.fleet()).version

        async def told() -> EngineLoad | None:
            load = (await plane.engine("e1")).load
            return load if load and load.source == "vllm" else None

        load = await eventually(told)
        async with busy(redis, e2=4):
            counted = (await plane.engine("e2")).load

        assert load == EngineLoad(source="vllm", running=3, waiting=2, kv_cache_usage=0.5)
        assert counted == EngineLoad(source="gateways", running=4)
        assert (await plane.fleet()).version == version
