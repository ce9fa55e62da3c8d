"""The local stack as its user meets it: started, watched, killed, stopped. Everything in it is real."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import psutil
import pytest

from sage_cli.home import Home
from sage_cli.supervision import leftovers
from tests.fakes.cluster import free_port
from tests.fakes.stack import SAGE, Stack, described, local_stack

pytestmark = pytest.mark.slow

PROGRAMS = {"supervisord", "valkey", "nginx", "engine", "chat-gateway", "session-store", "rag-indexer", "control-plane"}
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """With the demo engine, as a user without any other gets it. A drain lasts until the next command at the least."""
    with local_stack(SAGE_CONTROL_PLANE_DRAIN_GRACE_SECONDS="60") as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0) as sdk:
        yield sdk


def until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


def left(stack: Stack) -> list[psutil.Process]:
    kept = Home(stack.home).kept()
    return leftovers(Home(stack.home), kept.session if kept else None)


def test_starting_again_says_that_it_runs_and_how_to_try_it(stack: Stack) -> None:
    told = stack.sage("gateway", "start")

    assert told.returncode == 0, told.stderr
    assert f"already running: {stack.url}/v1" in told.stdout
    assert f"curl {stack.url}/v1/chat/completions" in told.stdout
    assert f'OpenAI(base_url="{stack.url}/v1"' in told.stdout
    assert "tiny demo model" in told.stdout
    assert "sage llm engine register" in told.stdout


def test_status_lists_every_process_and_engine_and_their_memory(stack: Stack) -> None:
    told = stack.status()

    assert {process["name"] for process in told["processes"]} == PROGRAMS
    assert {process["state"] for process in told["processes"]} == {"RUNNING"}
    assert {(engine["model_id"], engine["state"]) for engine in told["engines"]} == {
        ("smollm2-135m-instruct", "READY"),
        ("smollm2-135m-embed", "READY"),
    }
    assert 100 * MEGABYTE < told["rss_bytes_without_engine"] < 700 * MEGABYTE


def test_the_demo_engine_chats_and_embeds(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="smollm2-135m-instruct",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=16,
            stream=True,
            extra_body={"ignore_eos": True},  # what it says is drawn by lot, and may else be nothing
        )
    )
    vectors = client.embeddings.create(model="smollm2-135m-embed", input=["a cat", "a dog"])

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert [len(item.embedding) for item in vectors.data] == [576, 576]


def test_talking_in_the_terminal_streams_an_answer(stack: Stack) -> None:
    told = stack.sage("chat", "--model", "smollm2-135m-instruct", "--session", "cli-test", "--message", "Say hello.")

    assert told.returncode == 0, told.stderr
    assert told.stdout.strip()


def test_a_folder_is_indexed_with_its_progress_watched(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "harbour.md").write_text("# Harbour\n\nThe harbour master of Quillport is Ada Finch.\n")

    told = stack.sage("chat", "ingest", str(tmp_path), "--json")

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["index"]["num_documents"] == 1


def test_a_folder_outside_the_allowed_roots_is_refused_in_a_sentence(stack: Stack) -> None:
    told = stack.sage("chat", "ingest", "/usr/share")

    assert told.returncode == 1
    assert told.stderr.startswith("sage: ")
    assert "Traceback" not in told.stderr


def test_engines_are_listed_drained_and_resumed(stack: Stack) -> None:
    engine_id = next(one["engine_id"] for one in stack.status()["engines"] if one["engine_kind"] == "embedding")

    drained = stack.sage("llm", "engine", "drain", engine_id, "--json")
    resumed = stack.sage("llm", "engine", "resume", engine_id, "--json")
    listed = stack.sage("llm", "engine", "list", "--state", "READY", "--json")

    assert json.loads(drained.stdout)["state"] == "DRAINING"
    assert json.loads(resumed.stdout)["state"] == "READY"
    assert json.loads(listed.stdout)["count"] == 2


def test_a_machine_without_gpus_is_told_so_and_is_no_error(stack: Stack) -> None:
    told = stack.sage("llm", "gpu", "--json")

    assert told.returncode == 0
    assert "gpus" in json.loads(told.stdout)


def test_an_error_of_the_gateway_is_one_sentence(stack: Stack) -> None:
    told = stack.sage("llm", "engine", "stop", "no-such-engine")

    assert told.returncode == 1
    assert told.stderr.startswith("sage: ")
    assert "no-such-engine" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_logs_show_the_end_of_one_program_or_of_all(stack: Stack) -> None:
    one = stack.sage("gateway", "logs", "chat-gateway", "--lines", "3")
    every = stack.sage("gateway", "logs", "--lines", "1")
    none = stack.sage("gateway", "logs", "nobody")
    for_programs = stack.sage("gateway", "logs", "valkey", "--lines", "1", "--json")

    assert all(json.loads(line)["service"] == "chat-gateway" for line in one.stdout.splitlines())
    assert any(line.startswith("valkey: ") for line in every.stdout.splitlines())
    assert (none.returncode, "there is no log of nobody" in none.stderr) == (1, True)
    assert json.loads(for_programs.stdout)["program"] == "valkey"


@pytest.mark.parametrize("name", ["valkey", "engine", "session-store", "chat-gateway", "nginx"])
def test_what_is_killed_comes_back(stack: Stack, client: openai.OpenAI, name: str) -> None:
    before = stack.pid(name)

    os.kill(before, signal.SIGKILL)

    until(lambda: stack.status()["running"] and _is_back(stack, name, before))
    until(lambda: _chats(client))


def _is_back(stack: Stack, name: str, before: int) -> bool:
    found = next(process for process in stack.status()["processes"] if process["name"] == name)
    return (found["state"], found["pid"] != before) == ("RUNNING", True)


def _chats(client: openai.OpenAI) -> bool:
    body = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    try:
        client.with_options(timeout=30).post("/chat/completions", body=body, cast_to=object)
    except openai.APIError:
        return False
    return True


def test_a_restart_that_would_be_refused_stops_nothing(stack: Stack) -> None:
    told = subprocess.run(
        [SAGE, "gateway", "restart"],
        env={**stack.env, "SAGE_GATEWAY_HOST": "0.0.0.0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (told.returncode, "--insecure" in told.stderr, stack.status()["running"]) == (1, True, True)


def test_a_second_command_waits_for_nobody_and_says_why(stack: Stack) -> None:
    with Home(stack.home).locked():
        told = stack.sage("gateway", "stop")

    assert (told.returncode, "another `sage gateway` command is at work" in told.stderr) == (1, True)


def test_stop_leaves_nothing_not_even_an_engine_started_on_request(tmp_path: Path) -> None:
    stack = described(tmp_path / "a home", SAGE_DEMO_ENGINE="0", SAGE_GATEWAY_WORKERS="2")
    try:
        stack.start()
        started = stack.sage("llm", "engine", "start", "smollm2", "--json")
        names = {process["name"] for process in stack.status()["processes"]}
    finally:
        stack.stop()

    assert started.returncode == 0, started.stderr
    assert {"chat-gateway-1", "chat-gateway-2"} < names
    assert left(stack) == []
    until(lambda: not psutil.pid_exists(json.loads(started.stdout)["pid"]))
    assert stack.sage("gateway", "status").returncode == 3
    assert "was not running" in stack.sage("gateway", "stop").stdout


def test_a_start_after_supervisord_was_killed_tidies_up_and_keeps_what_is_stored(tmp_path: Path) -> None:
    stack = described(tmp_path, SAGE_DEMO_ENGINE="0")
    try:
        stack.start()
        ports = json.loads((stack.home / "stack.json").read_bytes())["ports"]
        with openai.OpenAI(base_url=stack.url, api_key="none") as sdk:
            made = sdk.post("/sessions", body={"title": "kept"}, cast_to=dict[str, object])
        until((stack.home / "valkey" / "appendonlydir").is_dir)
        time.sleep(1.1)  # what Valkey promises: what was said is on disk after a second
        orphans = left(stack)
        os.kill(stack.pid("supervisord"), signal.SIGKILL)
        told = stack.sage("gateway", "status")
        stack.start()
        with openai.OpenAI(base_url=stack.url, api_key="none") as sdk:
            found = sdk.get(f"/sessions/{made['id']}", cast_to=dict[str, object])
    finally:
        stack.stop()

    assert "have outlived supervisord" in told.stdout
    assert found["id"] == made["id"]
    assert [process for process in orphans if process.is_running()] == []
    assert json.loads((stack.home / "stack.json").read_bytes())["ports"] == ports


def test_a_start_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    stack = described(tmp_path, SAGE_DEMO_ENGINE="0")
    command = [str(SAGE), "gateway", "start"]
    with subprocess.Popen(command, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as starting:
        until((stack.home / "run" / "supervisord.pid").exists)
        starting.send_signal(signal.SIGINT)
        starting.communicate(timeout=60)

    assert starting.returncode == 130
    assert left(stack) == []


def test_in_the_foreground_it_ends_with_the_signal(tmp_path: Path) -> None:
    stack = described(tmp_path, SAGE_DEMO_ENGINE="0")
    command = [str(SAGE), "gateway", "start", "--foreground"]
    with subprocess.Popen(command, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        first = running.stdout.readline()  # it says that it is up
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)

    assert b"is up" in first
    assert running.returncode == 0
    assert left(stack) == []


def test_a_port_in_use_is_told_with_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = described(tmp_path, SAGE_GATEWAY_PORT=str(port))
        told = stack.sage("gateway", "start")

    assert told.returncode == 1
    assert f"port {port} is in use by" in told.stderr
    assert f"(pid {os.getpid()})" in told.stderr
    assert left(stack) == []


def test_a_service_that_dies_at_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    stack = described(tmp_path, SAGE_DEMO_ENGINE="0", SAGE_SESSION_TTL="for ever")
    told = stack.sage("gateway", "start")

    assert told.returncode == 1
    assert "session-store ended while it was starting" in told.stderr
    assert "SAGE_SESSION_TTL" in told.stderr
    assert left(stack) == []


def test_listening_beyond_this_machine_is_refused_until_it_is_insisted_on(tmp_path: Path) -> None:
    stack = described(tmp_path, SAGE_GATEWAY_HOST="0.0.0.0")
    told = stack.sage("gateway", "start")

    assert told.returncode == 1
    assert "--insecure" in told.stderr
    assert left(stack) == []


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    told = described(tmp_path, SAGE_GATEWAY_WORKERS="many").sage("gateway", "start")

    assert (told.returncode, "SAGE_GATEWAY_WORKERS" in told.stderr) == (2, True)


def test_an_engine_command_without_a_gateway_says_what_to_run(tmp_path: Path) -> None:
    told = described(tmp_path, SAGE_GATEWAY_PORT=str(free_port())).sage("llm", "engine", "list")

    assert (told.returncode, "run `sage gateway start` first" in told.stderr) == (3, True)
