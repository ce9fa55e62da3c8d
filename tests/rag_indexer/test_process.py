"""The service as a process: started, killed in the middle of a build, started again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fakes.cluster import free_port
from tests.rag_indexer.parts import written

pytestmark = pytest.mark.slow

PARAGRAPH = "A sentence about engines, sessions and gateways stands here for a while. " * 30


class Indexer:
    def __init__(self, folder: Path, **variables: str) -> None:
        self.port = free_port()
        self.env = {
            **os.environ,
            "SAGE_RAG_INDEXER_PORT": str(self.port),
            "SAGE_RAG_INDEXER_SOURCE_DIR": str(folder / "docs"),
            "SAGE_RAG_INDEXER_DATA_DIR": str(folder / "data"),
            **variables,
        }
        folder.mkdir(exist_ok=True)
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "rag_indexer"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stderr=log)
        self.until(lambda: self.ask("GET", "/livez")["status"] == "alive")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=150) as response:
            return json.load(response)

    def logged(self) -> list[dict[str, Any]]:
        """What it has written, since its first start."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def until(self, claim: Any) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if claim():
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError("it did not happen in time")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for member in family if number == signal.SIGKILL else family[:1]:
            with suppress(psutil.NoSuchProcess):  # a child ends with its parent
                member.send_signal(number)
        self.process.wait(60)
        psutil.wait_procs(family, timeout=60)
        self.process = None


@contextmanager
def indexer(folder: Path, **variables: str) -> Generator[Indexer]:
    found = Indexer(folder, **variables)
    found.start()
    try:
        yield found
    finally:
        found.stop()


def refused(folder: Path, **variables: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "rag_indexer"]
    ended = subprocess.run(command, env=Indexer(folder, **variables).env, capture_output=True, timeout=120, check=False)
    return ended.returncode, ended.stderr.decode()


MANY = {f"{number}.md": f"# Number {number}\n\n{PARAGRAPH[:500]}" for number in range(2_000)}
"""Twice as many as are stored between two words on the disk, however fast the machine is."""


def noted(folder: Path) -> int:
    """How many files the drafts on the disk are known to have."""
    return sum(journal.read_bytes().count(b"\n") - 1 for journal in (folder / "data").glob("docs@*/draft.jsonl"))


@pytest.mark.parametrize("before", ["nothing", "an index"])
def test_a_build_that_is_killed_goes_on_after_a_restart_and_comes_to_the_same(tmp_path: Path, before: str) -> None:
    written(tmp_path / "docs", {"0.md": MANY["0.md"]})
    with indexer(tmp_path, SAGE_RAG_INDEXER_BUILD_AT_START="false") as running:
        if before == "an index":
            running.ask("POST", "/admin/index/build", {})
        written(tmp_path / "docs", MANY)
        running.ask("POST", "/admin/index/build", {"wait": False, "force_rebuild": True})
        running.until(lambda: noted(tmp_path) > 50)
        running.stop(signal.SIGKILL)
        kept = noted(tmp_path)
        running.start()
        status = running.ask("GET", "/admin/index/status")
        resumed = running.ask("POST", "/admin/index/build", {})
        files = [line["files"] for line in running.logged() if line["event"] == "draft resumed"]
        running.ask("DELETE", "/admin/index")
        clean = running.ask("POST", "/admin/index/build", {})

    assert status["status"] == ("ready" if before == "an index" else "not_found")
    assert files == [kept]
    assert 50 < kept < 2_000
    assert (resumed["status"], resumed["index"]["num_documents"]) == ("built", 2_000)
    assert resumed["index"]["num_chunks"] == clean["index"]["num_chunks"]


def test_a_change_that_is_killed_leaves_the_old_index_and_is_made_after_a_restart(tmp_path: Path) -> None:
    written(tmp_path / "docs", {"zebra.md": "# Zebra\n\nA zebra is striped and it runs fast.\n"})
    question = {"query": "zebra striped runs"}
    with indexer(tmp_path, SAGE_RAG_INDEXER_BUILD_AT_START="false") as running:
        running.ask("POST", "/admin/index/build", {})
        written(tmp_path / "docs", MANY)
        running.ask("POST", "/admin/index/build", {"wait": False})
        running.until(lambda: noted(tmp_path) > 50)
        running.stop(signal.SIGKILL)
        running.start()
        status = running.ask("GET", "/admin/index/status")
        found = running.ask("POST", "/v1/retrieval/search", question)
        built = running.ask("POST", "/admin/index/build", {})

    assert (status["status"], status["index"]["num_documents"], found["evidence"]) == ("ready", 1, True)
    assert (built["status"], built["index"]["num_documents"]) == ("updated", 2_001)


def test_a_second_one_on_the_same_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    written(tmp_path / "docs", {"a.md": "text"})
    with indexer(tmp_path):
        status, told = refused(tmp_path)

    data = tmp_path / "data"
    assert status == 2
    assert told.startswith(f"rag-indexer: SAGE_RAG_INDEXER_DATA_DIR: {data} is in use by another rag-indexer (process ")
    assert told.count("\n") == 1


def test_a_wrong_setting_is_refused_in_one_sentence(tmp_path: Path) -> None:
    status, told = refused(tmp_path, SAGE_RAG_INDEXER_STORE="postgres")

    assert status == 2
    assert told.startswith("rag-indexer: SAGE_RAG_INDEXER_STORE='postgres'")
    assert told.count("\n") == 1


def test_it_stops_at_once_though_a_build_is_under_way(tmp_path: Path) -> None:
    written(tmp_path / "docs", {f"{number}.md": PARAGRAPH for number in range(600)})
    with indexer(tmp_path) as running:
        running.until(lambda: running.ask("GET", "/admin/index/status")["status"] == "building")
        began = time.monotonic()
        running.stop()
        seconds = time.monotonic() - began

    assert seconds < 10
