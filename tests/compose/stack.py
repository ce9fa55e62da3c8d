"""A compose project as the tests see it: its address, and `docker compose` spoken to it."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


def compose_command() -> Path:
    return ROOT / "deploy/docker/compose.sh"


@dataclass
class Stack:
    """One running project, and the address of its front door."""

    project: str
    url: str = ""

    def compose(self, *arguments: str) -> str:
        """What the command printed; a failure is told with its output by the caller's expectation."""
        command = [str(compose_command()), "-p", self.project, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False).stdout

    def containers(self) -> dict[str, dict[str, Any]]:
        """`docker compose ps`, by service."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {entry["Service"]: entry for entry in map(json.loads, lines)}

    def published(self) -> dict[str, set[str]]:
        """Which services publish ports on this machine, and on which addresses."""
        ports = {name: container["Publishers"] or [] for name, container in self.containers().items()}
        addresses = {name: {port["URL"] for port in found if port["PublishedPort"]} for name, found in ports.items()}
        return {name: found for name, found in addresses.items() if found}

    def get(self, path: str, **query: str) -> httpx.Response:
        return httpx.get(self.url + path, params=query, timeout=30)

    def post(self, path: str, body: object) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=240)

    def eventually(self, claim: Callable[[], bool], *, within_seconds: float = 90) -> bool:
        """Whether the claim comes true in time; containers tell nobody when they are back, so it is asked again and again."""
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            try:
                if claim():
                    return True
            except (httpx.HTTPError, OSError):
                pass
            time.sleep(0.5)
        return False
