"""A control-plane on a real socket, in this loop, over a real Redis."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from control_plane.app import assemble, create_app
from control_plane.settings import Settings
from sage_chassis.client import ServiceClient
from sage_contracts import fleet, management
from sage_contracts.call import Empty
from sage_contracts.fleet import Fleet
from sage_contracts.management import Engine, RegisterEngine, StartEngine, StopEngine, Stopped
from tests.control_plane.engines import ScriptedEngine
from tests.fakes.apps import served
from tests.fakes.cluster import accepts, free_port

T = TypeVar("T")

BRISK: dict[str, Any] = {
    "probe_seconds": 0.1,
    "probe_timeout_seconds": 10.0,
    "drain_grace_seconds": 0.0,
    "lease_seconds": 4.0,
    "restart_pause_seconds": 0.05,
    "engine_stop_seconds": 1.0,
}
"""Settings for a test that does not want to wait, and is held up for a moment now and then."""


class ControlPlane:
    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http
        self.service = ServiceClient(http, url, name="control-plane", timeout=20)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, **options) as response:
            raw = await response.read()
            return response.status, json.loads(raw) if raw else None

    async def register(self, engine: ScriptedEngine, **fields: Any) -> Engine:
        request = RegisterEngine(**{"host": "127.0.0.1", "port": engine.port, **fields})
        return await self.service.call(management.REGISTER, request)

    async def start(self, preset: str, **fields: Any) -> Engine:
        return (await self.service.call(management.START, StartEngine(preset=preset, **fields))).engine

    async def stop(self, engine_id: str, **fields: Any) -> Stopped:
        return await self.service.call(management.STOP, StopEngine(engine_id=engine_id, **fields))

    async def engine(self, engine_id: str) -> Engine:
        return await self.service.call(management.READ, Empty(), engine_id=engine_id)

    async def engines(self) -> list[Engine]:
        return (await self.service.call(management.LIST, management.EnginesQuery())).engines

    async def fleet(self) -> Fleet:
        return await self.service.call(fleet.FLEET, Empty())

    async def until(self, engine_id: str, state: str) -> Engine:
        async def there() -> Engine | None:
            engine = await self.engine(engine_id)
            return engine if engine.state == state else None

        return await eventually(there)


async def eventually(ask: Callable[[], Awaitable[T | None]], *, seconds: float = 60.0) -> T:
    """The first answer that is not None; TimeoutError when there is none in time."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await ask()
            if answer is not None:
                return answer
            await asyncio.sleep(0.02)


@asynccontextmanager
async def control_plane(redis_url: str, folder: Path, **settings: Any) -> AsyncGenerator[ControlPlane]:
    config = Settings(**{**BRISK, "redis_url": redis_url, "data_dir": str(folder), **settings})
    async with served(create_app, partial(assemble, config)) as url, aiohttp.ClientSession() as http:
        yield ControlPlane(url, http)


@asynccontextmanager
async def process(
    redis_url: str, folder: Path, **env: str
) -> AsyncGenerator[tuple[ControlPlane, asyncio.subprocess.Process]]:
    """A control-plane as an operator starts it."""
    port = int(env.get("SAGE_CONTROL_PLANE_PORT") or free_port())
    settings = {
        "SAGE_REDIS_URL": redis_url,
        "SAGE_CONTROL_PLANE_PORT": str(port),
        "SAGE_CONTROL_PLANE_DATA_DIR": str(folder),
        "SAGE_CONTROL_PLANE_PROBE_SECONDS": "0.2",
        "SAGE_CONTROL_PLANE_PROBE_TIMEOUT_SECONDS": "10",
        "SAGE_CONTROL_PLANE_LEASE_SECONDS": "2",
        "SAGE_LOG_LEVEL": "warning",
        **env,
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "control_plane", env=os.environ | settings, start_new_session=True
    )
    try:
        await accepts(port)
        async with aiohttp.ClientSession() as http:
            yield ControlPlane(f"http://127.0.0.1:{port}", http), running
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()
