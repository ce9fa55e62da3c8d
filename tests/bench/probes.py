"""Five hundred engines probed by one control-plane: how old the oldest answer is, and what it costs."""

import asyncio
import time
from pathlib import Path

import psutil
from msgspec import structs

from control_plane.adapters.redis_registry import RedisRegistry
from control_plane.domain.records import Record
from sage_chassis import redis_client
from tests.control_plane.stack import process
from tests.fakes.redis_server import redis_server

ENGINES = 500
INTERVAL_SECONDS = 2.0
ROUNDS = 4


async def probes(folder: Path, port: int) -> str:
    """The engines are all one that listens on `port`: what is measured is the control-plane."""
    with redis_server() as server:
        async with redis_client.connect(server.url) as redis:
            registry = RedisRegistry(redis, _nobody_listens)
            record = Record(
                engine_id="e",
                model_id="bench-json",
                host="127.0.0.1",
                port=port,
                state="READY",
                source="registered",
                created_at=0.0,
            )
            for number in range(ENGINES):
                await registry.swap(old=None, new=structs.replace(record, engine_id=f"e{number}"))
        env = {"SAGE_CONTROL_PLANE_PROBE_SECONDS": str(INTERVAL_SECONDS), "SAGE_CONTROL_PLANE_LEASE_SECONDS": "3"}
        async with process(server.url, folder, **env) as (plane, running):
            await asyncio.sleep(INTERVAL_SECONDS * 2)
            began, before = time.perf_counter(), _cpu_seconds(running.pid)
            await asyncio.sleep(INTERVAL_SECONDS * ROUNDS)
            share = (_cpu_seconds(running.pid) - before) / (time.perf_counter() - began)
            engines = await plane.engines()
            now = time.time()
    oldest = max(now - one.last_heartbeat.timestamp() if one.last_heartbeat else now for one in engines)
    ready = sum(one.state == "READY" for one in engines)
    return (
        f"{ENGINES} engines probed every {INTERVAL_SECONDS:g} s by one control-plane: {ready} READY, "
        f"oldest answer {oldest:.1f} s old, {share:.0%} of one core"
    )


async def _nobody_listens(_: int) -> None:
    """The registry tells each new version of the fleet."""


def _cpu_seconds(pid: int) -> float:
    parent = psutil.Process(pid)
    times = [one.cpu_times() for one in [parent, *parent.children(recursive=True)]]
    return sum(one.user + one.system for one in times)
