"""A rag-indexer of the bench's own, as a process, and how much memory it and its children take at most."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil

from tests.fakes.cluster import accepts, free_port

LOOK_SECONDS = 0.05
PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=5)


@dataclass(frozen=True, slots=True)
class Indexer:
    url: str
    pid: int
    http: aiohttp.ClientSession

    async def build(self, folder: Path, **fields: Any) -> tuple[float, dict[str, Any]]:
        """Seconds, and what the build answered."""
        began = time.perf_counter()
        body = {"source_dir": str(folder), **fields}
        async with self.http.post("/admin/index/build", json=body) as response:
            told: dict[str, Any] = await response.json()
            assert response.status == 200, told
        return time.perf_counter() - began, told


@asynccontextmanager
async def indexer(folder: Path) -> AsyncGenerator[Indexer]:
    """Qdrant Edge and the encoder of the default configuration; logs go to `folder`."""
    port = free_port()
    own = {
        "SAGE_RAG_INDEXER_PORT": str(port),
        "SAGE_RAG_INDEXER_DATA_DIR": str(folder / "data"),
        "SAGE_RAG_INDEXER_ALLOWED_ROOTS": tempfile.gettempdir(),
        "SAGE_RAG_INDEXER_BUILD_AT_START": "false",
        "SAGE_LOG_LEVEL": "warning",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAGE_")}
    with (folder / "rag-indexer.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "rag_indexer"], env=inherited | own, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        await accepts(port, seconds=60)
        async with aiohttp.ClientSession(url, timeout=PATIENCE) as http:
            yield Indexer(url, process.pid, http)
    finally:
        process.terminate()
        process.wait(30)


class Memory:
    """The most that a process and its children have taken together while this was entered, in bytes of RSS."""

    def __init__(self, pid: int) -> None:
        self._parent = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            taken = 0
            for one in [self._parent, *self._parent.children(recursive=True)]:
                with suppress(psutil.Error):
                    taken += one.memory_info().rss
            self.peak = max(self.peak, taken)
