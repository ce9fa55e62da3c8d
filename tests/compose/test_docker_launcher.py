"""Engines started as containers: a real Docker engine, a real control-plane, the demo engine's base image."""

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from control_plane.adapters.docker_engine import DockerEngine
from control_plane.adapters.docker_launcher import DockerLauncher
from control_plane.domain.ports import LaunchFailed
from control_plane.domain.presets import Line, Preset, PresetFile
from sage_contracts.errors import InvalidRequest
from sage_contracts.management import Engine
from tests.control_plane.stack import ControlPlane, control_plane, eventually
from tests.fakes.cluster import free_port
from tests.fakes.redis_server import RedisServer

URL = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
SERVER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"data": [{"id": "boxed"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
print("listening", flush=True)
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture(scope="module")
def image(docker_images: None) -> str:
    """Anything with Python in it: the base image, as compose takes it or as it was made here."""
    names = docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    return next(name for name in ("sage-local/python:latest", "python:3.11-slim-bookworm") if name in names)


@pytest.fixture
def node(docker_engine: None) -> Iterator[str]:
    """A node's name of this test's own, whose containers are gone afterwards."""
    name = f"test-{uuid4().hex[:8]}"
    yield name
    left = docker("ps", "-aq", "--filter", f"label=sage.node={name}").split()
    if left:
        docker("rm", "-f", *left)


@pytest.fixture
async def launcher(node: str) -> AsyncGenerator[DockerLauncher]:
    engine = DockerEngine(URL)
    yield DockerLauncher(engine, node=node, host="127.0.0.1", stop_seconds=1)
    await engine.close()


@pytest.fixture
def settings(image: str, node: str, tmp_path: Path) -> dict[str, Any]:
    presets = [
        Preset(
            name="boxed",
            kind="docker",
            image=image,
            command=("python3", "-c", SERVER, "{host}", "{port}"),
            model="boxed",
        ),
        Preset(
            name="broken",
            kind="docker",
            image=image,
            command=("sh", "-c", "echo no memory; exit 3 # {port}"),
            model="b",
        ),
        Preset(name="absent", kind="docker", image="sage/not-there:1", command=("{port}",), model="c"),
    ]
    path = tmp_path / "presets.yaml"
    path.write_bytes(msgspec.yaml.encode(PresetFile(presets=presets)))
    return {"presets": str(path), "node": node, "docker_url": URL, "max_restarts": 1}


@pytest.fixture
async def redis_url(shared_redis: RedisServer) -> str:
    async with Redis.from_url(shared_redis.url) as client:
        await client.flushall()
    return shared_redis.url


def sleeper(image: str) -> Line:
    return Line(("sh", "-c", "echo up; exec sleep 600"), {}, port=free_port(), image=image)


def containers(node: str) -> list[str]:
    return docker("ps", "-q", "--no-trunc", "--filter", f"label=sage.node={node}").split()


async def test_a_container_is_started_once_found_by_another_launcher_stopped_and_forgotten(
    launcher: DockerLauncher, image: str, node: str
) -> None:
    line = sleeper(image)
    first, again = await asyncio.gather(launcher.start("e1", line), launcher.start("e1", line))
    engine = DockerEngine(URL)
    other = DockerLauncher(engine, node=node, host="127.0.0.1", stop_seconds=1)
    found = [await other.find("e1"), await other.start("e1", line)]
    stranger = DockerLauncher(engine, node="elsewhere", host="127.0.0.1", stop_seconds=1)

    assert first == again == found[0] == found[1]
    assert first.pid > 0
    assert len(containers(node)) == 1
    assert await launcher.running() == ["e1"]
    assert await stranger.find("e1") is None
    await other.stop("e1")
    assert await launcher.find("e1") is None
    assert await launcher.last_lines("e1") == ["up"]
    await launcher.forget("e1")
    assert await launcher.last_lines("e1") == []
    await launcher.stop("never started")
    await engine.close()


async def test_an_image_that_is_not_here_says_what_to_run(launcher: DockerLauncher) -> None:
    with pytest.raises(LaunchFailed, match="docker pull sage/not-there:1"):
        await launcher.start("e1", Line((), {}, port=free_port(), image="sage/not-there:1"))


async def test_gpus_that_docker_cannot_give_are_told_and_leave_no_container(
    launcher: DockerLauncher, image: str, node: str
) -> None:
    line = Line(("sleep", "600"), {}, port=free_port(), image=image, gpu_ids=(0,))
    if "nvidia" in docker("info", "--format", "{{.Runtimes}}"):
        pytest.skip("Docker gives GPUs here")

    with pytest.raises(LaunchFailed, match="Docker refuses"):
        await launcher.start("e1", line)
    assert docker("ps", "-aq", "--filter", f"label=sage.node={node}") == ""


async def test_a_started_container_serves_is_started_again_after_a_crash_and_ends(
    redis_url: str, settings: dict[str, Any], node: str, tmp_path: Path
) -> None:
    async with control_plane(redis_url, tmp_path, **settings) as plane:
        engine = await plane.until((await plane.start("boxed")).engine_id, "READY")
        assert (engine.metadata["launcher"], engine.base_url) == ("docker", f"http://127.0.0.1:{engine.port}")
        docker("kill", *containers(node))
        again = await restarted(plane, engine)
        _, logs = await plane.ask("GET", f"/v1/management/engines/{engine.engine_id}/logs")
        await plane.stop(engine.engine_id)
        stopped = await plane.engine(engine.engine_id)
        left = containers(node)
        await plane.ask("POST", "/v1/management/engines/prune")

    assert again.metadata["restarts"] == 1
    assert "listening" in logs["lines"]
    assert (stopped.state, stopped.pid, left) == ("STOPPED", None, [])
    assert docker("ps", "-aq", "--filter", f"label=sage.node={node}") == ""


async def test_a_container_outlives_the_control_plane_and_is_never_started_twice(
    redis_url: str, settings: dict[str, Any], node: str, tmp_path: Path
) -> None:
    async with control_plane(redis_url, tmp_path, **settings) as plane:
        engine = await plane.until((await plane.start("boxed")).engine_id, "READY")
    before = containers(node)
    async with control_plane(redis_url, tmp_path, stop_engines_on_exit=True, **settings) as plane:
        await asyncio.sleep(1.2)  # two rounds of supervision
        found = await plane.engine(engine.engine_id)
        during = containers(node)

    assert (found.state, found.pid, found.metadata["restarts"]) == ("READY", engine.pid, 0)
    assert before == during
    assert len(before) == 1
    assert containers(node) == []


async def test_a_container_that_always_ends_is_given_up_with_its_last_words(
    redis_url: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    async with control_plane(redis_url, tmp_path, **settings) as plane:
        failed = await plane.until((await plane.start("broken")).engine_id, "ERROR")
        with pytest.raises(InvalidRequest, match="docker pull"):
            await plane.start("absent")

    assert "no memory" in failed.metadata["last_error"]


async def test_a_container_with_a_label_is_an_engine_until_it_is_gone(
    redis_url: str, image: str, node: str, tmp_path: Path
) -> None:
    port = free_port()
    name = f"{node}-labelled"
    label, publish = "sage.port=8000", f"127.0.0.1:{port}:8000"
    arguments = ["--name", name, "--label", label, "--label", f"sage.node={node}", "-p", publish]
    async with control_plane(redis_url, tmp_path, docker_url=URL, discover_docker=True) as plane:
        docker("run", "-d", *arguments, image, "python3", "-c", SERVER, "0.0.0.0", "8000")

        async def found() -> Engine | None:
            told = [one for one in await plane.engines() if one.port == port]
            return told[0] if told else None

        engine = await eventually(found, seconds=30)

    assert (engine.model_id, engine.metadata["source"]) == ("boxed", "docker")
    assert engine.metadata["origin"] == f"container {name}"


async def restarted(plane: ControlPlane, old: Engine) -> Engine:
    async def other_pid() -> Engine | None:
        engine = await plane.engine(old.engine_id)
        return engine if engine.state == "READY" and engine.pid not in {None, old.pid} else None

    return await eventually(other_pid, seconds=30)
