"""The service as a process: started, killed in the middle of a build, started again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.fakes.cluster import free_port
from tests.rag_indexer.parts import written

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
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "rag_indexer"]
        self.process = subprocess.Popen(command, env=self.env, stderr=subprocess.DEVNULL)
        self.until(lambda: self.ask("GET", "/livez")["status"] == "alive")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=10) as response:
            return json.load(response)

    def until(self, claim: Any) -> None:
        deadline = time.monotonic() + 30
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
            member.send_signal(number)
        self.process.wait(20)
        psutil.wait_procs(family, timeout=20)
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
    ended = subprocess.run(command, env=Indexer(folder, **variables).env, capture_output=True, timeout=30, check=False)
    return ended.returncode, ended.stderr.decode()


def test_killed_in_the_middle_of_a_build_it_serves_the_old_index_again(tmp_path: Path) -> None:
    written(tmp_path / "docs", {"zebra.md": "# Zebra\n\nA zebra is striped and it runs fast.\n"})
    question = {"query": "zebra striped runs"}
    with indexer(tmp_path, SAGE_RAG_INDEXER_BUILD_AT_START="false") as running:
        running.ask("POST", "/admin/index/build", {})
        written(tmp_path / "docs", {f"{number}.md": PARAGRAPH for number in range(600)})
        running.ask("POST", "/admin/index/build", {"wait": False})
        running.until(lambda: running.ask("GET", "/admin/index/status")["job"]["stage"] == "indexing")
        running.stop(signal.SIGKILL)
        left = sorted(path.name for path in (tmp_path / "data").glob("docs@*"))
        running.start()
        status = running.ask("GET", "/admin/index/status")
        found = running.ask("POST", "/v1/retrieval/search", question)
        kept = sorted(path.name for path in (tmp_path / "data").glob("docs@*"))
        built = running.ask("POST", "/admin/index/build", {})

    assert (left, kept) == (["docs@1", "docs@2"], ["docs@1"])
    assert (status["status"], status["index"]["num_documents"], found["evidence"]) == ("ready", 1, True)
    assert (built["status"], built["index"]["num_documents"]) == ("updated", 601)


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
