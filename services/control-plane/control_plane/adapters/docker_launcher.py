"""Engines as containers of a Docker engine, found again by their labels."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from typing import Any

from control_plane.adapters.docker_engine import DockerEngine
from control_plane.domain.ports import LaunchFailed, Process
from control_plane.domain.presets import Line

ENGINE_LABEL = "sage.engine_id"
NODE_LABEL = "sage.node"
ALIVE = {"running", "paused", "restarting"}
LOG_OPTIONS = {"max-size": "16m", "max-file": "2"}


class DockerLauncher:
    """
    A container carries its engine's id and this node's name as labels, and a name that only one can have: whatever
    happened to the control-plane meanwhile, an engine is found again and never started twice.

    One that ended stays, with its log, until its engine is started again or forgotten.
    """

    def __init__(self, docker: DockerEngine, *, node: str, host: str, stop_seconds: float) -> None:
        self._docker = docker
        self._labels = {NODE_LABEL: node}
        self._host = host
        self._stop_seconds = stop_seconds
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self, engine_id: str, line: Line) -> Process:
        async with self._locks[engine_id]:
            return await self._docker.ask(lambda client: self._start(client, engine_id, line))

    async def find(self, engine_id: str) -> Process | None:
        return await self._docker.ask(lambda client: _process(self._container(client, engine_id)))

    async def stop(self, engine_id: str) -> None:
        def ended(client: Any) -> None:
            container = self._container(client, engine_id)
            if container is not None and container.status in ALIVE:
                container.stop(timeout=round(self._stop_seconds))

        async with self._locks[engine_id]:
            await self._docker.ask(ended)

    async def last_lines(self, engine_id: str, *, count: int = 10, most_bytes: int = 2_000) -> list[str]:
        def printed(client: Any) -> bytes:
            container = self._container(client, engine_id)
            return b"" if container is None else bytes(container.logs(tail=count))

        text = (await self._docker.ask(printed))[-most_bytes:].decode("utf-8", "replace")
        return text.strip().splitlines()[-count:]

    async def forget(self, engine_id: str) -> None:
        def removed(client: Any) -> None:
            container = self._container(client, engine_id)
            if container is not None:
                container.remove(force=True)

        async with self._locks[engine_id]:
            await self._docker.ask(removed)

    async def running(self) -> Sequence[str]:
        return await self._docker.ask(
            lambda client: sorted(
                container.labels[ENGINE_LABEL]
                for container in client.containers.list(filters={"label": [*_filters(self._labels), ENGINE_LABEL]})
            )
        )

    def _start(self, client: Any, engine_id: str, line: Line) -> Process:
        old = self._container(client, engine_id)
        running = _process(old)
        if running is not None:
            return running
        if old is not None:
            old.remove(force=True)
        container = self._created(client, engine_id, line)
        try:
            container.start()
            container.reload()
        except BaseException:
            container.remove(force=True)
            raise
        started = _process(container)
        return started or Process(0, 0.0)  # it has ended already: the next look at it finds that out

    def _created(self, client: Any, engine_id: str, line: Line) -> Any:
        sdk = import_module("docker")
        try:
            return client.containers.create(
                line.image,
                list(line.command) or None,
                name=f"sage-{engine_id.replace(':', '-')}",
                labels={**self._labels, ENGINE_LABEL: engine_id},
                environment=dict(line.env),
                ports={f"{line.port}/tcp": (self._host, line.port)},
                volumes=list(line.volumes),
                device_requests=_devices(sdk, line.gpu_ids),
                ipc_mode="host" if line.gpu_ids else None,  # as vLLM wants it for its workers' shared memory
                log_config=sdk.types.LogConfig(type="json-file", config=LOG_OPTIONS),
                stdin_open=False,
                detach=True,
            )
        except sdk.errors.ImageNotFound as error:
            raise LaunchFailed(f"image {line.image!r} is not here: run docker pull {line.image}") from error

    def _container(self, client: Any, engine_id: str) -> Any | None:
        labels = _filters({**self._labels, ENGINE_LABEL: engine_id})
        found = client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        return found[0] if found else None


def _process(container: Any | None) -> Process | None:
    """Its first process, as the Docker engine's machine numbers it; None when it does not run."""
    if container is None or container.status not in ALIVE:
        return None
    state = container.attrs["State"]
    return Process(int(state["Pid"]), _unix(str(state["StartedAt"])))


def _unix(told: str) -> float:
    """Docker tells nanoseconds, which Python's parser does not read."""
    seconds, _, rest = told.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00").timestamp() + float(f"0.{rest or 0}")


def _filters(labels: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in labels.items()]


def _devices(sdk: Any, gpu_ids: Sequence[int]) -> list[Any] | None:
    ids = [str(index) for index in gpu_ids]
    return [sdk.types.DeviceRequest(device_ids=ids, capabilities=[["gpu"]])] if ids else None
