import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import psutil
import pytest

from control_plane.adapters.process_launcher import LOG_BYTES, ProcessLauncher, inherited
from control_plane.domain.ports import LaunchFailed, Process
from control_plane.domain.presets import Line
from tests.control_plane.stack import eventually

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
CHILD = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid"
PARENT = [sys.executable, "-c", f"import subprocess, sys, time; print({CHILD}, flush=True); time.sleep(600)"]


@pytest.fixture
async def launcher(tmp_path: Path) -> AsyncGenerator[ProcessLauncher]:
    launcher = ProcessLauncher(tmp_path / "engines", stop_seconds=0.5)
    yield launcher
    for engine_id in await launcher.running():
        await launcher.stop(engine_id)


async def printed(launcher: ProcessLauncher, engine_id: str) -> str:
    async def lines() -> str | None:
        return "\n".join(await launcher.last_lines(engine_id)) or None

    return await eventually(lines)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_started_process_runs_in_a_group_of_its_own_with_a_log(
    launcher: ProcessLauncher, tmp_path: Path
) -> None:
    process = await launcher.start("e1", Line(tuple(SLEEPS), {}))
    text = await printed(launcher, "e1")

    assert alive(process.pid)
    assert os.getpgid(process.pid) == process.pid
    assert text == "up"
    assert (tmp_path / "engines" / "e1.log").read_text() == "up\n"
    assert await launcher.running() == ["e1"]


async def test_a_process_that_could_not_be_found_again_is_not_left_behind(
    launcher: ProcessLauncher, tmp_path: Path
) -> None:
    (tmp_path / "engines" / "e1.new").mkdir(parents=True)
    with pytest.raises(LaunchFailed):
        await launcher.start("e1", Line(tuple(SLEEPS), {}))

    assert not [child for child in psutil.Process().children() if alive(child.pid) and child.cmdline() == SLEEPS]


async def test_nothing_is_started_twice(launcher: ProcessLauncher) -> None:
    first = await launcher.start("e1", Line(tuple(SLEEPS), {}))
    second = await launcher.start("e1", Line(tuple(SLEEPS), {}))

    assert first == second


async def test_a_process_is_found_again_by_another_launcher(launcher: ProcessLauncher, tmp_path: Path) -> None:
    process = await launcher.start("e1", Line(tuple(SLEEPS), {}))
    other = ProcessLauncher(tmp_path / "engines", stop_seconds=0.5)

    assert await other.find("e1") == process
    assert await other.start("e1", Line(tuple(SLEEPS), {})) == process
    await launcher.stop("e1")
    assert await other.find("e1") is None


async def test_another_process_with_its_pid_is_not_taken_for_it(launcher: ProcessLauncher, tmp_path: Path) -> None:
    process = await launcher.start("e1", Line(tuple(SLEEPS), {}))
    file = tmp_path / "engines" / "e1.pid"
    kept = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**kept, "since_boot": kept["since_boot"] - 100}))

    assert await launcher.find("e1") is None
    await launcher.stop("e1")
    assert alive(process.pid), "a stranger was killed"
    os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("text", [b"", b"17", b"{}", b'{"pid": "x"}'])
async def test_a_pid_file_that_makes_no_sense_is_no_process(
    launcher: ProcessLauncher, tmp_path: Path, text: bytes
) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "e1.pid").write_bytes(text)

    assert await launcher.find("e1") is None
    assert await launcher.running() == []
    await launcher.stop("e1")


async def test_a_killed_process_is_not_found_any_more(launcher: ProcessLauncher) -> None:
    process = await launcher.start("e1", Line(tuple(SLEEPS), {}))
    os.kill(process.pid, signal.SIGKILL)

    async def gone() -> bool | None:
        return True if await launcher.find("e1") is None else None

    assert await eventually(gone)


async def test_stopping_is_polite_then_forceful(launcher: ProcessLauncher) -> None:
    for command in (SLEEPS, DEAF):
        process = await launcher.start("e1", Line(tuple(command), {}))
        await printed(launcher, "e1")
        await launcher.stop("e1")

        assert not alive(process.pid)
        assert await launcher.find("e1") is None
    await launcher.stop("e1")
    await launcher.stop("never started")


async def test_what_an_engine_started_goes_with_it(launcher: ProcessLauncher) -> None:
    await launcher.start("e1", Line(tuple(PARENT), {}))
    child = int(await printed(launcher, "e1"))
    assert alive(child)
    await launcher.stop("e1")

    async def gone() -> bool | None:
        return None if alive(child) else True

    assert await eventually(gone)


async def test_what_a_crashed_engine_left_behind_is_ended_too(launcher: ProcessLauncher) -> None:
    process = await launcher.start("e1", Line(tuple(PARENT), {}))
    child = int(await printed(launcher, "e1"))
    os.kill(process.pid, signal.SIGKILL)

    async def crashed() -> bool | None:
        return True if await launcher.find("e1") is None else None

    await eventually(crashed)
    assert alive(child)
    await launcher.stop("e1")

    async def gone() -> bool | None:
        return None if alive(child) else True

    assert await eventually(gone)


@pytest.mark.parametrize("command", [["/nonexistent/engine"], ["sage-no-such-program"], ["a\0b"], ["/"]])
async def test_a_command_that_cannot_be_run_says_why(launcher: ProcessLauncher, command: list[str]) -> None:
    with pytest.raises(LaunchFailed) as caught:
        await launcher.start("e1", Line(tuple(command), {}))

    assert str(caught.value)
    assert await launcher.find("e1") is None


async def test_the_last_lines_are_told(launcher: ProcessLauncher) -> None:
    script = "print('x' * 5000); [print('line', n) for n in range(50)]; print(b'\\xff'.decode('latin1'))"
    await launcher.start("e1", Line((sys.executable, "-X", "utf8", "-c", script), {}))

    async def told() -> list[str] | None:
        lines = await launcher.last_lines("e1")
        return lines if lines[-1:] == ["\u00ff"] else None

    lines = await eventually(told)
    assert lines[-2:] == ["line 49", "\u00ff"]
    assert len(lines) == 10
    assert len(await launcher.last_lines("e1", count=100, most_bytes=100_000)) == 52
    assert len("\n".join(await launcher.last_lines("e1", count=100, most_bytes=30))) <= 30
    assert await launcher.last_lines("unknown") == []


async def test_a_long_log_is_set_aside(launcher: ProcessLauncher, tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    folder.mkdir()
    with (folder / "e1.log").open("wb") as log:
        log.truncate(LOG_BYTES + 1)
    await launcher.start("e1", Line(tuple(SLEEPS), {}))
    await printed(launcher, "e1")

    assert (folder / "e1.log").stat().st_size < 100
    assert (folder / "e1.log.1").stat().st_size == LOG_BYTES + 1


async def test_the_preset_s_environment_reaches_the_engine(launcher: ProcessLauncher) -> None:
    await launcher.start(
        "e1", Line((sys.executable, "-c", "import os; print(os.environ['COLOUR'])"), {"COLOUR": "blue"})
    )

    assert await printed(launcher, "e1") == "blue"


def test_an_engine_does_not_get_our_own_settings() -> None:
    env = {"PATH": "/bin", "SAGE_REDIS_URL": "redis://:secret@x", "SAGE_CHAT_API_KEY": "k"}

    assert inherited(env) == {"PATH": "/bin"}


async def test_a_process_of_before_is_one_with_its_start_time(launcher: ProcessLauncher) -> None:
    process = await launcher.start("e1", Line(tuple(SLEEPS), {}))

    assert process == Process(process.pid, psutil.Process(process.pid).create_time())


async def test_what_is_forgotten_leaves_no_log_unless_it_runs(launcher: ProcessLauncher, tmp_path: Path) -> None:
    await launcher.start("e1", Line(tuple(SLEEPS), {}))
    await printed(launcher, "e1")
    await launcher.forget("e1")
    assert await launcher.last_lines("e1") == ["up"]
    await launcher.stop("e1")
    await launcher.forget("e1")

    assert list((tmp_path / "engines").iterdir()) == []
