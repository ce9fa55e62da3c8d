"""The one way a service reaches Redis: two seconds, at most, until it knows that Redis is away."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
)
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from sage_chassis.redis_commands import FAILURES, Client, send
from sage_chassis.redis_urls import Servers, servers_of
from sage_contracts.errors import StoreFull, StoreUnavailable
from sage_contracts.service import Check

BUDGET_SECONDS = 1.6
"""For one operation and all it asks of Redis, so that a caller knows within two seconds."""

CLUSTER_CONNECTIONS = 256
"""To each node, and as many commands under way at once to all of them."""

LISTENERS = 8
"""Connections to each node beside those, for pub/sub."""

STEP_SECONDS = 0.2
"""The budget is counted in steps: one in which the process stood still is no longer than another."""

SENTINEL_SECONDS = 0.3
"""In which a Sentinel must answer."""

FULL_RETRY_SECONDS = 10


def connect(url: str, *, max_connections: int = 64) -> Client:
    """
    A client for use within `reached`; `url` names a server, Sentinels or a cluster, as `redis_urls` reads it.

    redis-py waits without limit by default: a hung server would hold every request. One repeat on a fresh connection
    hides a restart of the server, a failover, a slot that has moved; commands that are not safe to repeat must be
    scripts that recognise a repeat. Callers past `max_connections` wait their turn, while `reached` lets them:
    redis-py's usual pool would refuse them at once.
    """
    servers = servers_of(url)
    options: dict[str, Any] = {
        "socket_connect_timeout": 0.5,
        "socket_timeout": 0.8,
        "health_check_interval": 15,
        "client_name": "sage",
    }
    if servers.topology == "cluster":
        return _cluster(servers, options)
    options |= {
        "timeout": 5.0,
        "retry": Retry(ConstantBackoff(0.05), 1),
        "retry_on_error": [RedisConnectionError],
        "max_connections": max_connections,
    }
    if servers.topology == "sentinel":
        return _sentinel(servers, options)
    return Redis.from_pool(BlockingConnectionPool.from_url(url, **options))


def _cluster(servers: Servers, options: dict[str, Any]) -> RedisCluster:
    given = _given(servers)
    given.pop("db", None)
    return _Cluster(
        startup_nodes=[ClusterNode(host, port) for host, port in servers.nodes],
        max_connections=CLUSTER_CONNECTIONS + LISTENERS,
        retry=Retry(ConstantBackoff(0.05), 1),
        # A cluster that has lost some slots serves the others.
        require_full_coverage=False,
        # Else each fifth slot that has moved would close all connections, those in use too.
        reinitialize_steps=0,
        **options | given,
    )


class _Cluster(RedisCluster):
    """Callers wait their turn; redis-py's own cluster refuses who comes when all connections are in use."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._turns = asyncio.Semaphore(CLUSTER_CONNECTIONS)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        # A cluster that it does not know yet, redis-py asks at random, and is sent from node to node.
        await self.initialize()
        async with self._turns:
            try:
                return await super().execute_command(*args, **options)
            except AttributeError as error:
                # When a node fails, redis-py closes its idle connections also under who has just taken one.
                raise RedisConnectionError("the connection was closed") from error


class _Sentinels(Sentinel):
    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """
        Whom the Sentinel says that knows of the last failover: the others may name the old master for seconds.

        All are asked at once, so that one that hangs costs no more than its own time.
        """
        answers = await asyncio.gather(*(one.sentinel_masters() for one in self.sentinels), return_exceptions=True)
        told = [answer.get(service_name) for answer in answers if isinstance(answer, dict)]
        found = [state for state in told if state and self.check_master_state(state, service_name)]
        if not found:
            raise MasterNotFoundError(f"no master is known as {service_name!r}")
        newest = max(found, key=lambda state: int(state["config-epoch"]))
        return newest["ip"], newest["port"]


class _ToMaster(SentinelManagedConnection):
    async def connect_check_health(self, *args: bool, **options: bool) -> None:
        """Ask the Sentinels also before a repeat: redis-py's own connection goes back to where it was."""
        if options.get("retry_socket_connect", True):
            await self.connect()  # type: ignore[no-untyped-call]
        else:
            await super().connect_check_health(*args, **options)


class _ToMasterSSL(_ToMaster, SSLConnection):
    pass


class _MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to whom the Sentinels call master now; callers wait their turn for them."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def _sentinel(servers: Servers, options: dict[str, Any]) -> Redis:
    given = _given(servers)
    asked = {name: value for name, value in given.items() if name.startswith("ssl")}
    for name in ("username", "password"):
        if (value := given.pop(f"sentinel_{name}", None)) is not None:
            asked[name] = value
    given["connection_class"] = _ToMasterSSL if given.pop("ssl", False) else _ToMaster
    asked |= {"socket_connect_timeout": SENTINEL_SECONDS, "socket_timeout": SENTINEL_SECONDS}
    sentinels = _Sentinels(servers.nodes, sentinel_kwargs={"retry": Retry(NoBackoff(), 0), **asked})  # type: ignore[no-untyped-call]
    return Redis.from_pool(_MasterPool(servers.master, sentinels, **options | given))  # type: ignore[no-untyped-call]


def _given(servers: Servers) -> dict[str, Any]:
    """The URL's own options, as redis-py reads them; its host stands in `nodes`."""
    found: dict[str, Any] = dict(parse_url(servers.url))
    found.pop("host", None)
    found.pop("port", None)
    if found.pop("connection_class", None) is SSLConnection:
        found["ssl"] = True
    return found


@asynccontextmanager
async def reached() -> AsyncGenerator[None]:
    """
    Around every use of Redis: an end in time, and an error with a meaning.

    Raises StoreFull when Redis can be read and takes nothing new, and StoreUnavailable for whatever else keeps it from
    answering within the budget. The client's own limits are for each step, and a command on a hung server may take
    several: connect, greet, repeat.
    """
    try:
        async with asyncio.timeout(None) as limit:
            with closing(_Budget(limit, BUDGET_SECONDS)):
                yield
    except FAILURES as error:
        raise _meaning(error) from error


class _Budget:
    """
    Ends `limit` after so long.

    A machine that stood still for a moment is not a Redis that is away: that moment does not count.
    """

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._steps = round(seconds / STEP_SECONDS)
        self._timer = self._loop.call_later(STEP_SECONDS, self._step)

    def _step(self) -> None:
        self._steps -= 1
        if self._steps:
            self._timer = self._loop.call_later(STEP_SECONDS, self._step)
        else:
            self._limit.reschedule(self._loop.time())

    def close(self) -> None:
        self._timer.cancel()


def _meaning(error: Exception) -> StoreUnavailable:
    if isinstance(error, OutOfMemoryError):
        return StoreFull(
            "Redis is full: it has reached maxmemory and takes nothing new", retry_after=FULL_RETRY_SECONDS
        )
    if "MISCONF" in str(error):
        # The only sign of it: redis-py has no class for this answer.
        return StoreFull(
            "Redis cannot write to its disk, which may be full, and takes nothing new", retry_after=FULL_RETRY_SECONDS
        )
    return StoreUnavailable(f"Redis cannot be used now ({type(error).__name__})", retry_after=2)


async def check(redis: Client) -> Check:
    """Whether Redis answers, for `/readyz`; of a cluster, whether it is whole by its own rule."""
    try:
        async with reached():
            if not isinstance(redis, RedisCluster):
                await redis.ping()
                return Check(ok=True)
            state = await send(redis, "CLUSTER INFO")
    except StoreUnavailable as error:
        return Check(ok=False, detail=error.message)
    is_whole = state.get("cluster_state") == "ok" if isinstance(state, dict) else b"cluster_state:ok" in state
    return Check(ok=is_whole, detail=None if is_whole else "some of the cluster's slots are served by no node")
