"""The composition root of the control-plane."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from litestar import Litestar
from prometheus_client import CollectorRegistry

from control_plane import settings as settings_
from control_plane.adapters import http_prober
from control_plane.adapters.checked_addresses import CheckedAddresses
from control_plane.adapters.dns_roster import DNSRoster
from control_plane.adapters.docker_engine import ASK_SECONDS, DockerEngine
from control_plane.adapters.docker_launcher import DockerLauncher
from control_plane.adapters.docker_roster import DockerRoster
from control_plane.adapters.gpus import NvidiaGPUs
from control_plane.adapters.http_prober import HTTPProber
from control_plane.adapters.local_ports import LocalPorts
from control_plane.adapters.process_launcher import ProcessLauncher
from control_plane.adapters.redis_lease import RedisLease
from control_plane.adapters.redis_load import RedisLoad
from control_plane.adapters.redis_registry import RedisRegistry
from control_plane.domain.changes import Changes
from control_plane.domain.discoveries import WELL_KNOWN_PORTS, Admissions, Discoveries
from control_plane.domain.engines import Engines
from control_plane.domain.fleets import Fleets
from control_plane.domain.launches import Launches
from control_plane.domain.leaving import Farewell
from control_plane.domain.ports import Roster
from control_plane.domain.presets import Presets
from control_plane.domain.registrations import Registrations
from control_plane.domain.reports import Reports
from control_plane.domain.restarting import Patience
from control_plane.domain.rosters import Rosters
from control_plane.domain.watching import Watch
from control_plane.metrics import ControlPlaneMetrics
from control_plane.routes import fleet, management
from control_plane.settings import Settings
from sage_chassis import app, background, logs, redis_client
from sage_chassis.bus import Bus
from sage_chassis.health import Health
from sage_chassis.redis_commands import Client
from sage_chassis.settings import Listen, load
from sage_contracts.names import FLEET_CHANNEL
from sage_contracts.service import Check

SERVICE = "control-plane"
SETTLE_SECONDS = 0.5
SUPERVISE_SECONDS = 0.5
DISCOVER_SECONDS = 1.0


@dataclass(frozen=True)
class Parts:
    """What the routes use."""

    engines: Engines
    registrations: Registrations
    launches: Launches
    reports: Reports
    fleets: Fleets
    health: Health


@dataclass(frozen=True)
class _Outside:
    """Everything beyond this process."""

    redis: Client
    registry: RedisRegistry
    load: RedisLoad
    lease: RedisLease
    addresses: CheckedAddresses
    prober: HTTPProber
    gpus: NvidiaGPUs
    docker: DockerEngine
    counts: ControlPlaneMetrics


@asynccontextmanager
async def assemble(config: Settings, registry: CollectorRegistry) -> AsyncGenerator[Parts]:
    """The control-plane with its loops running. It comes up without Redis, and works as soon as Redis answers."""
    async with AsyncExitStack() as stack:
        outside = await stack.enter_async_context(_outside(config, registry))
        parts = _parts(config, outside)
        watch = _watch(config, outside, parts.fleets)
        admissions = Admissions(registry=outside.registry, registrations=parts.registrations, prober=outside.prober)
        discoveries = _discoveries(config, outside, admissions)
        rosters = _rosters(config, outside, admissions)
        if config.stop_engines_on_exit:
            stack.push_async_callback(parts.launches.end_all)
        await watch.lead()
        running = background.running(
            background.every(config.lease_seconds / 4, watch.lead),
            paced(config.probe_seconds, watch.look),
            background.every(SETTLE_SECONDS, watch.settle),
            background.every(SUPERVISE_SECONDS, parts.launches.supervise),
            background.every(DISCOVER_SECONDS, discoveries.look),
            background.every(DISCOVER_SECONDS, rosters.look),
        )
        await stack.enter_async_context(running)
        yield parts


def create_app(parts: AbstractAsyncContextManager[Parts], registry: CollectorRegistry | None = None) -> Litestar:
    return app.build(
        SERVICE,
        routes=[*management.ROUTES, fleet.read_fleet],
        parts=parts,
        kind=Parts,
        registry=registry or CollectorRegistry(),
    )


def main() -> Litestar:
    """For Granian: `granian --factory control_plane.app:main`."""
    listen = load(Listen, prefix=settings_.PREFIX, defaults={"port": settings_.PORT})
    logs.set_up(SERVICE, listen.log_level)
    registry = CollectorRegistry()
    return create_app(assemble(settings_.load(), registry), registry)


def paced(seconds: float, action: Callable[[], Awaitable[None]]) -> background.Loop:
    """As `background.every`, but counted from beginning to beginning: a slow round does not push back the next."""

    async def repeated() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await action()
            due = max(due + seconds, loop.time())
            await asyncio.sleep(due - loop.time())

    repeated.__qualname__ = getattr(action, "__qualname__", repr(action))
    return repeated


@asynccontextmanager
async def _outside(config: Settings, metrics_registry: CollectorRegistry) -> AsyncGenerator[_Outside]:
    async with AsyncExitStack() as stack:
        redis = redis_client.connect(config.redis_url)
        stack.push_async_callback(redis.aclose)
        bus = Bus(redis)

        async def tell(version: int) -> None:
            await bus.publish(FLEET_CHANNEL, str(version))

        addresses = CheckedAddresses(settings_.policy(config))
        http = await stack.enter_async_context(http_prober.connections(addresses))
        docker = DockerEngine(config.docker_url, seconds=config.engine_stop_seconds + ASK_SECONDS)
        stack.push_async_callback(docker.close)
        lease = RedisLease(redis, seconds=config.lease_seconds)
        stack.push_async_callback(lease.release)
        yield _Outside(
            redis=redis,
            registry=RedisRegistry(redis, tell),
            load=RedisLoad(redis, time.time),
            lease=lease,
            addresses=addresses,
            prober=HTTPProber(http, addresses, timeout_seconds=config.probe_timeout_seconds),
            gpus=NvidiaGPUs(),
            docker=docker,
            counts=ControlPlaneMetrics(metrics_registry),
        )


def _parts(config: Settings, outside: _Outside) -> Parts:
    registry, counts = outside.registry, outside.counts
    changes = Changes(registry, time.time)
    fleets = Fleets(registry, counts)
    launches = _launches(config, outside, changes)
    return Parts(
        engines=Engines(
            registry=registry,
            changes=changes,
            launches=launches,
            load=outside.load,
            prober=outside.prober,
            clock=time.time,
            drain_seconds=config.drain_seconds,
        ),
        registrations=Registrations(
            registry=registry,
            addresses=outside.addresses,
            prober=outside.prober,
            clock=time.time,
            start_seconds=config.start_seconds,
        ),
        launches=launches,
        reports=Reports(
            fleets=fleets,
            load=outside.load,
            gpus=outside.gpus,
            clock=time.time,
            node=_node(config),
            policy=config.policy,
        ),
        fleets=fleets,
        health=Health(SERVICE, optional={"redis": _redis_check(outside.redis)}),
    )


def _launches(config: Settings, outside: _Outside, changes: Changes) -> Launches:
    folder = Path(config.data_dir).expanduser() / "engines"
    node = _node(config)
    stop_seconds = config.engine_stop_seconds
    return Launches(
        registry=outside.registry,
        changes=changes,
        launchers={
            "process": ProcessLauncher(folder, stop_seconds=stop_seconds),
            "docker": DockerLauncher(outside.docker, node=node, host=config.engine_host, stop_seconds=stop_seconds),
        },
        presets=Presets(settings_.presets(config)),
        addresses=outside.addresses,
        ports=LocalPorts(),
        gpus=outside.gpus,
        counts=outside.counts,
        clock=time.time,
        node=node,
        engine_host=config.engine_host,
        patience=Patience(config.max_restarts, config.restart_pause_seconds),
        load=outside.load,
        farewell=Farewell(config.drain_grace_seconds, config.exit_drain_seconds),
    )


def _watch(config: Settings, outside: _Outside, fleets: Fleets) -> Watch:
    return Watch(
        registry=outside.registry,
        fleets=fleets,
        changes=Changes(outside.registry, time.time),
        lease=outside.lease,
        load=outside.load,
        prober=outside.prober,
        counts=outside.counts,
        clock=time.time,
        interval_seconds=config.probe_seconds,
        drain_grace_seconds=config.drain_grace_seconds,
    )


def _discoveries(config: Settings, outside: _Outside, admissions: Admissions) -> Discoveries:
    return Discoveries(
        registry=outside.registry,
        admissions=admissions,
        static=settings_.static(config),
        well_known=[("127.0.0.1", port) for port in WELL_KNOWN_PORTS] if config.discover else [],
    )


def _rosters(config: Settings, outside: _Outside, admissions: Admissions) -> Rosters:
    resolve = outside.addresses.resolved
    rosters: list[Roster] = [DNSRoster(host, port, resolve) for host, port in settings_.dns_names(config)]
    if config.discover_docker:
        rosters.append(DockerRoster(outside.docker))
    return Rosters(
        rosters,
        registry=outside.registry,
        changes=Changes(outside.registry, time.time),
        admissions=admissions,
        clock=time.time,
        drain_seconds=config.drain_seconds,
    )


def _node(config: Settings) -> str:
    return config.node or socket.gethostname()


def _redis_check(redis: Client) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        return await redis_client.check(redis)

    return check
