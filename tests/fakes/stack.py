"""A local stack of the tests' own, started as a user starts it: `sage gateway start`, with its own home and ports."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.cluster import free_port

SAGE = Path(sys.executable).with_name("sage")
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stack:
    """`url` has no path: the OpenAI base is `url + "/v1"`."""

    url: str
    home: Path
    env: Mapping[str, str]

    def sage(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """The command as this stack's user runs it; it may fail."""
        return subprocess.run(
            [SAGE, *arguments], env=self.env, capture_output=True, text=True, timeout=seconds, check=False
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.sage("gateway", "status", "--json").stdout)
        return found

    def pid(self, name: str) -> int:
        """Of `valkey`, `nginx`, `engine`, `supervisord` or a service."""
        pids = {process["name"]: process["pid"] for process in self.status()["processes"]}
        return int(pids[name])

    def port(self, name: str) -> int:
        """The port on which a program listens, behind nginx."""
        ports: dict[str, int] = json.loads((self.home / "stack.json").read_bytes())["ports"]
        return ports[name]

    def start(self, *options: str) -> None:
        told = self.sage("gateway", "start", *options)
        assert told.returncode == 0, f"the stack did not start:\n{told.stdout}{told.stderr}"

    def stop(self) -> None:
        told = self.sage("gateway", "stop")
        assert told.returncode == 0, f"the stack did not stop:\n{told.stdout}{told.stderr}"


def described(home: Path, **env: str) -> Stack:
    """A stack that is not started. Nothing of the caller's own settings reaches it; no engine is looked for."""
    port = env.get("SAGE_GATEWAY_PORT") or str(free_port())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAGE_")}
    own = {
        "SAGE_HOME": str(home),
        "SAGE_GATEWAY_PORT": port,
        "SAGE_DISCOVER_ENGINES": "0",
        "SAGE_RAG_INDEXER_ALLOWED_ROOTS": f"{REPOSITORY / 'docs'},{tempfile.gettempdir()}",
    }
    return Stack(url=f"http://127.0.0.1:{port}", home=home, env=inherited | own | env)


@contextmanager
def local_stack(*options: str, **env: str) -> Generator[Stack]:
    """A running stack; `options` are those of `sage gateway start`, `env` is set for it. Nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="sage-stack-") as folder:
        stack = described(Path(folder), **env)
        try:
            stack.start(*options)
            yield stack
        finally:
            stack.stop()
