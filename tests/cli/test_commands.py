"""What `sage llm` asks of the gateway, how it tells the answer to people and to programs, and its exit codes."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import typer
from aiohttp import web

from sage_cli import __main__ as command
from sage_cli import failures
from sage_contracts import errors
from sage_contracts import management as wire
from sage_contracts.errors import SageError
from sage_contracts.management import Engine
from tests.fakes.cluster import free_port
from tests.fakes.engine import fake_engine
from tests.fakes.front_door import listening
from tests.fakes.stack import REPOSITORY, SAGE

PAGE = REPOSITORY / "docs" / "cli.md"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ENGINE = Engine(
    engine_id="e1",
    model_id="tiny",
    host="127.0.0.1",
    port=8001,
    state="READY",
    engine_kind="llm",
    created_at=NOW,
    last_heartbeat=NOW,
    consecutive_failures=0,
    active_requests=2,
    metadata={},
    status="READY",
    runtime="llm",
    pid=7,
    gpu_ids=[],
    uptime_seconds=61.0,
    base_url="http://127.0.0.1:8001",
)
STARTED = wire.StartedEngine(**msgspec.structs.asdict(ENGINE), engine=ENGINE, id="e1")
GPU = wire.GPU(
    index=0, name="H1", memory_used_gb=1, memory_total_gb=2, memory_free_gb=1, utilization=50, engines=["e1"]
)


@dataclass
class Management:
    """Gives `answers` one after the other, the last again and again; an error with its status."""

    answers: list[object]
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.raw_path} {(await request.read()).decode()}".strip())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, SageError):
            return web.json_response(body=msgspec.json.encode(answer.body()), status=answer.status)
        return web.json_response(body=msgspec.json.encode(answer))


@asynccontextmanager
async def management(*answers: object) -> AsyncGenerator[Management]:
    one = Management(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.handle)
    async with listening(app) as port:
        one.url = f"http://127.0.0.1:{port}"
        yield one


async def sage(*arguments: str) -> int:
    """The command in a thread, as it has a loop of its own; its exit code."""

    def run() -> int:
        with pytest.raises(SystemExit) as ended:
            command.main(arguments)
        return ended.value.code if isinstance(ended.value.code, int) else 0

    return await asyncio.to_thread(run)


COMMANDS = [
    ("engine list", "GET /v1/management/engines", wire.Engines(engines=[ENGINE], count=1), "1 min 1 s"),
    (
        "engine list --state READY --model tiny",
        "GET /v1/management/engines?state=READY&model=tiny",
        wire.Engines(engines=[], count=0),
        "no engines: register one",
    ),
    ("engine register 127.0.0.1 8001", "POST /v1/management/engines/register", ENGINE, "e1 is READY: tiny at http"),
    ("engine start tiny", "POST /v1/management/engines/start", STARTED, "e1 is READY"),
    (
        "engine stop e1 --drain",
        "POST /v1/management/engines/stop",
        wire.Stopped(engine_id="e1", stopped=False, drained=False, status="DRAINING"),
        "it stops when it has finished",
    ),
    (
        "engine stop e1",
        "POST /v1/management/engines/stop",
        wire.Stopped(engine_id="e1", stopped=True, drained=True, status="STOPPED"),
        "e1 is stopped",
    ),
    ("engine drain e1", "POST /v1/management/engines/e1/drain", ENGINE, "e1 is READY"),
    ("engine resume e1", "POST /v1/management/engines/e1/resume", ENGINE, "e1 is READY"),
    (
        "engine logs e1 --lines 2",
        "GET /v1/management/engines/e1/logs?lines=2",
        wire.Logs(engine_id="e1", lines=["[one]", "two"]),
        "[one]\ntwo\n",
    ),
    ("engine prune", "POST /v1/management/engines/prune", wire.Pruned(pruned_count=3), "forgot 3"),
    ("gpu", "GET /v1/management/gpu", wire.GPUs(gpus=[GPU]), "1.0 of 2.0 GB"),
    ("gpu", "GET /v1/management/gpu", wire.GPUs(gpus=[], message="no GPU here"), "no GPU here"),
]


@pytest.mark.parametrize(("line", "asked", "answer", "told"), COMMANDS, ids=[line for line, *_ in COMMANDS])
async def test_a_command_asks_one_thing_and_tells_it_to_people_and_to_programs(
    line: str, asked: str, answer: msgspec.Struct, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with management(answer) as gateway:
        for_people = await sage("llm", *line.split(), "--api-base", gateway.url)
        said = capsys.readouterr().out
        for_programs = await sage("llm", *line.split(), "--api-base", gateway.url, "--json")

    assert (for_people, for_programs) == (0, 0)
    assert gateway.asked[0].startswith(asked)
    assert told in said
    expected = answer.engine if isinstance(answer, wire.StartedEngine) else answer
    assert json.loads(capsys.readouterr().out) == json.loads(msgspec.json.encode(expected))


async def test_a_model_or_a_preset_is_started_as_it_is_named() -> None:
    async with management(STARTED) as gateway:
        await sage("llm", "engine", "start", "tiny", "--port", "9000", "--label", "mine", "--api-base", gateway.url)

    sent = json.loads(gateway.asked[0].partition("{")[1] + gateway.asked[0].partition("{")[2])
    assert (sent["model_id"], sent["port"], sent["engine_label"]) == ("tiny", 9000, "mine")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.slow
async def test_a_followed_log_tells_each_line_once_until_the_engine_is_gone(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = [["old", "a"], ["old", "a"], ["old", "a", "b"], ["a", "b", "c"]]
    answers = [wire.Logs(engine_id="e1", lines=lines) for lines in windows]
    async with management(*answers, errors.EngineNotFound("no engine 'e1'")) as gateway:
        code = await sage(
            *("llm", "engine", "logs", "e1", "-f", "-n", "1", "--api-base", gateway.url), *["--json"] * as_json
        )

    told = capsys.readouterr()
    lines = [json.loads(line)["line"] for line in told.out.splitlines()] if as_json else told.out.splitlines()
    assert (lines, code) == (["a", "b", "c"], 1)
    assert "no engine 'e1'" in told.err


@pytest.mark.parametrize(
    "refused",
    [
        errors.EngineNotFound("no engine 'e1'"),
        errors.Conflict("only registered"),
        errors.StoreUnavailable("Redis is away"),
        errors.PresetNotFound("no preset 'e1'"),
    ],
    ids=lambda error: error.code,
)
async def test_a_refusal_is_one_sentence_and_exits_with_1(
    refused: SageError, capsys: pytest.CaptureFixture[str]
) -> None:
    async with management(refused) as gateway:
        code = await sage("llm", "engine", "logs", "e1", "--api-base", gateway.url)

    assert (code, capsys.readouterr().err) == (1, f"sage: {refused.message}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["llm", "engine", "stop"],
        ["llm", "engine", "stopp", "e1"],
        ["llm", "engine", "logs", "e1", "--lines", "0"],
        ["llm", "engine", "list", "--state", "GONE"],
        ["llm", "engine", "register", "host"],
        ["chat", "--json"],
    ],
    ids=" ".join,
)
async def test_wrong_use_exits_with_2(arguments: list[str]) -> None:
    assert await sage(*arguments) == 2


@pytest.mark.parametrize("arguments", [["llm", "engine", "list"], ["chat", "--message", "Hello"]], ids=" ".join)
async def test_no_gateway_exits_with_3_and_says_what_to_run(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = await sage(*arguments, "--api-base", f"http://127.0.0.1:{free_port()}")

    assert (code, "run `sage gateway start` first" in capsys.readouterr().err) == (3, True)


async def test_one_answer_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    async with fake_engine() as engine:
        code = await sage("chat", "-m", "tiny", "-s", "mine", "--message", "Hello", "--json", "--api-base", engine.url)

    told = json.loads(capsys.readouterr().out)
    assert (code, told) == (0, {"session_id": "mine", "model": "tiny", "content": "You said: Hello"})


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """As typer hands them to the Click it brings with it, whose types it keeps to itself."""
    inner = getattr(group, "commands", {})
    for name, one in inner.items():
        yield from commands(one, f"{path} {name}")
    if not inner or group.invoke_without_command:
        yield path, group


COMMANDS_THERE_ARE = dict(commands(typer.main.get_command(command.app), "sage"))


@pytest.mark.parametrize("path", COMMANDS_THERE_ARE)
def test_every_command_is_documented_and_speaks_json(path: str) -> None:
    assert f"`{path}`" in PAGE.read_text()
    assert any("--json" in parameter.opts for parameter in COMMANDS_THERE_ARE[path].params)


@pytest.mark.parametrize("code", [failures.WRONG_USE, failures.NOT_RUNNING, failures.INTERRUPTED])
def test_every_exit_code_is_documented(code: int) -> None:
    assert f"| {code} |" in PAGE.read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.slow
def test_shells_complete_the_command(shell: str) -> None:
    told = subprocess.run(
        [SAGE], env=os.environ | {"_SAGE_COMPLETE": f"source_{shell}"}, capture_output=True, text=True, check=True
    )

    assert "_SAGE_COMPLETE" in told.stdout
