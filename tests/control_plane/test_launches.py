"""Engines started from presets: real processes, kept alive and ended."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from redis.asyncio import Redis

from control_plane.adapters.redis_registry import RedisRegistry
from control_plane.domain.presets import Preset, PresetFile
from sage_contracts.errors import Conflict, InvalidRequest, PresetNotFound
from sage_contracts.management import Engine
from tests.control_plane.domain.fakes import nobody
from tests.control_plane.stack import ControlPlane, control_plane, eventually
from tests.fakes.cluster import free_port
from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.slow

START = "/v1/management/engines/start"
ENGINE = (sys.executable, "-m", "tests.control_plane.engines", "--port", "{port}")


def preset_file(folder: Path) -> Path:
    only = free_port()
    presets = [
        Preset(name="tiny", command=ENGINE, model="tiny", ready_seconds=20, allow_extra_args=True),
        Preset(name="one-port", command=ENGINE, model="single", ports=(only, only)),
        Preset(name="embed", command=ENGINE, model="bge", engine_kind="embedding", max_concurrent_requests=2),
        Preset(name="missing", command=("/nonexistent/engine", "{port}"), model="missing"),
        Preset(name="broken", command=(*ENGINE, "--fails", "CUDA out of memory"), model="broken"),
        Preset(name="deaf", command=(*ENGINE, "--deaf"), model="deaf"),
        Preset(
            name="slow",
            command=(sys.executable, "-c", "import time; time.sleep(60) # {port}"),
            model="slow",
            ready_seconds=0.4,
        ),
    ]
    path = folder / "presets.yaml"
    path.write_bytes(msgspec.yaml.encode(PresetFile(presets=presets)))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {"presets": str(preset_file(tmp_path)), "stop_engines_on_exit": True, "max_restarts": 2}


@pytest.fixture
async def plane(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path, settings: dict[str, Any]
) -> AsyncGenerator[ControlPlane]:
    async with control_plane(shared_redis.url, tmp_path, **settings) as running:
        yield running


def alive(pid: int | None) -> bool:
    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def running_with_another_pid(plane: ControlPlane, old: Engine) -> Engine:
    async def restarted() -> Engine | None:
        engine = await plane.engine(old.engine_id)
        return engine if engine.state == "READY" and engine.pid not in {None, old.pid} else None

    return await eventually(restarted)


async def test_a_started_engine_is_starting_and_then_ready(plane: ControlPlane) -> None:
    status, told = await plane.ask("POST", START, json={"model_id": "tiny", "metadata": {"rack": 1}})
    ready = await plane.until(told["id"], "READY")

    assert status == 201
    assert told["engine"]["state"] == told["status"] == "STARTING"
    assert told["engine"]["engine_id"] == told["engine_id"] == told["id"] == f"tiny-127.0.0.1-{told['port']}"
    assert alive(ready.pid)
    assert told["pid"] == ready.pid
    assert ready.metadata["context_tokens"] == 512
    assert (ready.metadata["source"], ready.metadata["preset"], ready.metadata["rack"]) == ("started", "tiny", 1)


async def test_both_spellings_start_an_engine(plane: ControlPlane) -> None:
    status, told = await plane.ask("POST", "/v1/management/engines", json={"preset": "tiny", "engine_label": "My Own"})

    assert status == 201
    assert told["id"].startswith("my-own-tiny-127.0.0.1-")
    assert told["metadata"]["engine_label"] == "My Own"


async def test_one_preset_starts_as_many_engines_as_wanted(plane: ControlPlane) -> None:
    first, second = await asyncio.gather(plane.start("tiny"), plane.start("tiny"))

    assert first.port != second.port
    await asyncio.gather(plane.until(first.engine_id, "READY"), plane.until(second.engine_id, "READY"))
    _, told = await plane.ask("GET", "/v1/management/status")
    assert len(told["managed_instances"]) == 2


async def test_the_port_asked_for_is_the_port_used(plane: ControlPlane) -> None:
    port = free_port()

    assert (await plane.start("tiny", port=port)).port == port
    with pytest.raises(Conflict, match=f"port {port} is in use"):
        await plane.start("tiny", port=port)


async def test_a_preset_of_one_port_runs_once(plane: ControlPlane) -> None:
    first = await plane.start("one-port")
    with pytest.raises(Conflict, match="every port"):
        await plane.start("one-port")
    await plane.stop(first.engine_id)
    again = await plane.start("one-port")
    ready = await plane.until(again.engine_id, "READY")

    assert again.engine_id == first.engine_id
    assert ready.created_at > first.created_at


async def test_kind_and_limit_come_from_the_preset(plane: ControlPlane) -> None:
    engine = await plane.start("embed")
    limits = {one.engine_id: one.max_concurrent_requests for one in (await plane.fleet()).engines}

    assert engine.engine_kind == "embedding"
    assert limits == {engine.engine_id: 2}


async def test_an_unknown_preset_is_a_400_that_lists_them(plane: ControlPlane) -> None:
    with pytest.raises(PresetNotFound, match=r"smollm2.*tiny.*one-port"):
        await plane.start("nope")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"preset": "embed", "extra_args": ["--trust-remote-code"]}, "extra_args"),
        ({"preset": "tiny", "host": "10.0.0.1"}, "host"),
        ({"preset": "tiny", "port": 80}, "port"),
        ({"preset": "tiny", "port": 70_000}, "port"),
        ({"preset": "tiny", "engine_kind": "embedding"}, "engine_kind"),
        ({"preset": "tiny", "tensor_parallel_size": 8}, "tensor_parallel_size"),
        ({"preset": "tiny", "metadata": {"x": "y" * 20_000}}, "metadata"),
        ({"preset": "tiny", "max_concurrent_requests": 0}, "max_concurrent_requests"),
        ({"preset": "missing"}, "preset"),
        ({"model_id": "../../bin/sh"}, "model_id"),
        ({}, "model_id"),
    ],
)
async def test_a_start_that_is_not_allowed_is_a_400_and_starts_nothing(
    plane: ControlPlane, fields: dict[str, Any], param: str
) -> None:
    status, told = await plane.ask("POST", START, json=fields)

    assert status == 400
    assert param in f"{told['error']['param']} {told['error']['message']}"
    assert await plane.engines() == []


async def test_arguments_are_added_where_the_preset_allows_it(plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "child"
    engine = await plane.start("tiny", extra_args=["--child", str(file)])
    await plane.until(engine.engine_id, "READY")
    child = int(file.read_text())
    assert alive(child)
    await plane.stop(engine.engine_id)

    async def gone() -> bool | None:
        return None if alive(child) else True

    assert await eventually(gone)


async def test_a_gpu_that_is_not_there_is_told(plane: ControlPlane) -> None:
    _, told = await plane.ask("GET", "/v1/management/gpu")
    if told["gpus"]:
        pytest.skip("this machine has a GPU")
    with pytest.raises(InvalidRequest, match="no GPU here"):
        await plane.start("tiny", use_gpu=True)


async def test_a_killed_engine_is_started_again(plane: ControlPlane) -> None:
    engine = await plane.until((await plane.start("tiny")).engine_id, "READY")
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    again = await running_with_another_pid(plane, engine)

    assert (again.port, again.created_at) == (engine.port, engine.created_at)
    assert again.metadata["restarts"] == 1
    async with plane.http.get(f"{plane.url}/metrics") as response:
        assert "sage_control_plane_restarts_total 1.0" in await response.text()


async def test_an_engine_that_always_crashes_is_given_up_with_its_last_words(plane: ControlPlane) -> None:
    engine = await plane.start("broken")
    failed = await plane.until(engine.engine_id, "ERROR")

    assert "CUDA out of memory" in failed.metadata["last_error"]
    assert failed.metadata["restarts"] == 2
    assert failed.pid is None
    assert (await plane.ask("POST", "/v1/management/engines/prune"))[1]["pruned_count"] == 1
    assert await plane.engines() == []


async def test_an_engine_that_does_not_answer_in_time_is_an_error_and_pruned_with_its_process(
    plane: ControlPlane,
) -> None:
    engine = await plane.start("slow")
    failed = await plane.until(engine.engine_id, "ERROR")
    assert alive(failed.pid)
    await plane.ask("POST", "/v1/management/engines/prune")

    assert not alive(failed.pid)
    assert await plane.engines() == []


@pytest.mark.parametrize("preset", ["tiny", "deaf"])
async def test_a_stopped_engine_ends_and_stays_listed_until_pruned(plane: ControlPlane, preset: str) -> None:
    engine = await plane.until((await plane.start(preset)).engine_id, "READY")
    told = await plane.stop(engine.engine_id)
    stopped = await plane.engine(engine.engine_id)

    assert (told.stopped, told.drained, told.status) == (True, True, "STOPPED")
    assert (stopped.state, stopped.pid) == ("STOPPED", None)
    assert not alive(engine.pid)
    assert (await plane.ask("POST", "/v1/management/engines/prune"))[1]["pruned_count"] == 1


async def test_a_drained_engine_ends_when_it_is_stopped(plane: ControlPlane) -> None:
    engine = await plane.until((await plane.start("tiny")).engine_id, "READY")
    told = await plane.stop(engine.engine_id, drain=True)
    await plane.until(engine.engine_id, "STOPPED")

    async def ended() -> bool | None:
        return True if not alive(engine.pid) and (await plane.engine(engine.engine_id)).pid is None else None

    assert told.status == "DRAINING"
    assert await eventually(ended)


async def test_engines_outlive_the_control_plane_and_are_found_again(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    stay = {**settings, "stop_engines_on_exit": False}
    async with control_plane(shared_redis.url, tmp_path, **stay) as plane:
        engine = await plane.until((await plane.start("tiny")).engine_id, "READY")
    assert alive(engine.pid)

    async with control_plane(shared_redis.url, tmp_path, **settings) as plane:
        version = (await plane.fleet()).version
        found = await plane.engine(engine.engine_id)
        assert (found.state, found.pid, found.created_at) == ("READY", engine.pid, engine.created_at)
        os.kill(engine.pid or 0, signal.SIGKILL)
        again = await running_with_another_pid(plane, engine)
        assert (await plane.fleet()).version > version

    assert not alive(again.pid), "stop_engines_on_exit ends them"


async def test_engines_that_ended_with_the_control_plane_start_with_it(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with control_plane(shared_redis.url, tmp_path, **settings) as plane:
        engine = await plane.until((await plane.start("tiny")).engine_id, "READY")
        stopped = await plane.until((await plane.start("tiny")).engine_id, "READY")
        await plane.stop(stopped.engine_id)
    assert not alive(engine.pid)

    async with control_plane(shared_redis.url, tmp_path, **settings) as plane:
        again = await running_with_another_pid(plane, engine)
        assert "last_error" not in again.metadata
        assert again.metadata["restarts"] == 0
        assert (await plane.engine(stopped.engine_id)).state == "STOPPED"


async def test_engines_that_end_with_the_control_plane_finish_their_requests_first(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    async def ending() -> int | None:
        async with control_plane(shared_redis.url, tmp_path, exit_drain_seconds=15.0, **settings) as plane:
            engine = await plane.until((await plane.start("tiny")).engine_id, "READY")
            await redis.zadd("sage:load", {"g": time.time()})
            await redis.hset("sage:load:g", mapping={engine.engine_id: "1"})
            started.set_result(engine)
        return engine.pid

    started: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
    end = asyncio.create_task(ending())
    engine = await started
    client = RedisRegistry(redis, nobody)

    async def left_the_choice() -> bool | None:
        return True if (await client.snapshot()).records[engine.engine_id].state == "STARTING" else None

    await eventually(left_the_choice)
    await asyncio.sleep(0.5)
    assert alive(engine.pid)
    assert not end.done()
    await redis.delete("sage:load:g")
    await end

    assert not alive(engine.pid)


async def test_an_engine_whose_preset_is_gone_is_an_error_that_says_so(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with control_plane(shared_redis.url, tmp_path, **settings) as plane:
        engine = await plane.until((await plane.start("tiny")).engine_id, "READY")

    async with control_plane(shared_redis.url, tmp_path, **{**settings, "presets": ""}) as plane:
        failed = await plane.until(engine.engine_id, "ERROR")

    assert "no longer among" in failed.metadata["last_error"]


async def test_an_engine_of_another_node_is_ended_by_that_node(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with (
        control_plane(shared_redis.url, tmp_path / "a", node="a", **settings) as first,
        control_plane(shared_redis.url, tmp_path / "b", node="b", **settings) as second,
    ):
        engine = await first.until((await first.start("tiny")).engine_id, "READY")
        told = await second.stop(engine.engine_id)

        async def ended() -> bool | None:
            return None if alive(engine.pid) else True

        assert told.status == "STOPPED"
        assert await eventually(ended)
        assert not (tmp_path / "b" / "engines").exists()


async def test_what_a_started_engine_printed_can_be_read_also_after_it_ended(plane: ControlPlane) -> None:
    engine = await plane.start("broken")
    await plane.until(engine.engine_id, "ERROR")
    status, told = await plane.ask("GET", f"/v1/management/engines/{engine.engine_id}/logs")
    _, shorter = await plane.ask("GET", f"/v1/management/engines/{engine.engine_id}/logs?lines=2")

    assert (status, told["engine_id"]) == (200, engine.engine_id)
    assert told["lines"] == ["first line", "CUDA out of memory"] * 3
    assert shorter["lines"] == ["first line", "CUDA out of memory"]


async def test_the_log_of_another_node_s_engine_is_asked_for_there(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with (
        control_plane(shared_redis.url, tmp_path / "a", node="a", **settings) as first,
        control_plane(shared_redis.url, tmp_path / "b", node="b", **settings) as second,
    ):
        engine = await first.start("tiny")
        status, told = await second.ask("GET", f"/v1/management/engines/{engine.engine_id}/logs")

    assert (status, told["error"]["code"]) == (409, "conflict")
    assert "'a'" in told["error"]["message"]


async def test_a_port_that_a_stranger_uses_is_not_taken(plane: ControlPlane) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        with pytest.raises(Conflict, match="in use"):
            await plane.start("tiny", port=stranger.getsockname()[1])


async def test_a_docker_engine_that_is_away_is_a_503_that_says_what_to_do(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    presets = tmp_path / "boxed.yaml"
    presets.write_text("presets: [{name: boxed, kind: docker, image: vllm, command: ['{port}'], model: m}]")
    away = f"unix://{tmp_path}/docker.sock"
    async with control_plane(shared_redis.url, tmp_path, presets=str(presets), docker_url=away) as plane:
        status, told = await plane.ask("POST", START, json={"preset": "boxed"})
        engines = await plane.engines()

    assert (status, told["error"]["code"]) == (503, "unavailable")
    assert f"no Docker engine answers at {away}: start it" in told["error"]["message"]
    assert engines == []
