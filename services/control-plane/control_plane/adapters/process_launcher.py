"""Engines as processes of this machine, each in a process group and with a log of its own."""

import asyncio
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from control_plane.domain.ports import LaunchFailed, Process
from control_plane.domain.presets import Line

LOG_BYTES = 16 * 1024 * 1024
"""A log longer than this is set aside as `<id>.log.1` when its engine is started again."""

LOOK_SECONDS = 0.05
KILLED_SECONDS = 5.0
"""How long the kernel may take to end a killed process; one that hangs in a driver takes longer, and is let be."""


DAY = 86_400.0


class _Kept(Struct, frozen=True):
    """`since_boot` tells the process from others with its pid, also when the clock was set meanwhile."""

    pid: int
    started_at: float
    since_boot: float


class ProcessLauncher:
    """
    `folder` holds `<id>.log` and, while a process runs, `<id>.pid` with its pid and start time: by these two it is
    found again after a restart, and never mistaken for a later process with the same pid.
    """

    def __init__(self, folder: Path, *, stop_seconds: float) -> None:
        self._folder = folder
        self._stop_seconds = stop_seconds
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self, engine_id: str, line: Line) -> Process:
        async with self._locks[engine_id]:
            running = await self.find(engine_id)
            if running is not None:
                return running
            try:
                return await asyncio.to_thread(self._start, engine_id, line.command, line.env)
            except (OSError, ValueError, psutil.Error) as error:
                raise LaunchFailed(str(error)) from error

    async def find(self, engine_id: str) -> Process | None:
        kept = self._kept(engine_id)
        return Process(kept.pid, kept.started_at) if kept and self._is_alive(kept) else None

    async def stop(self, engine_id: str) -> None:
        async with self._locks[engine_id]:
            kept = self._kept(engine_id)
            if kept is None:
                return
            if self._is_alive(kept):
                _signal_group(kept.pid, signal.SIGTERM)
                await self._gone(kept, self._stop_seconds)
            if self._is_alive(kept) or _is_ours_still(kept):
                _signal_group(kept.pid, signal.SIGKILL)  # the engine itself, or what it started and left behind
            await self._gone(kept, KILLED_SECONDS)
            self._pid_file(engine_id).unlink(missing_ok=True)

    async def forget(self, engine_id: str) -> None:
        if await self.find(engine_id) is None:
            for file in (self._log_file(engine_id), self._log_file(engine_id).with_suffix(".log.1")):
                file.unlink(missing_ok=True)

    async def last_lines(self, engine_id: str, *, count: int = 10, most_bytes: int = 2_000) -> list[str]:
        try:
            with self._log_file(engine_id).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - most_bytes))
                text = log.read(most_bytes).decode("utf-8", "replace")
        except OSError:
            return []
        return text.strip().splitlines()[-count:]

    async def running(self) -> Sequence[str]:
        found = sorted(path.stem for path in self._folder.glob("*.pid"))
        return [engine_id for engine_id in found if await self.find(engine_id)]

    def _start(self, engine_id: str, command: Sequence[str], env: Mapping[str, str]) -> Process:
        self._folder.mkdir(parents=True, exist_ok=True)
        log_file = self._log_file(engine_id)
        if log_file.exists() and log_file.stat().st_size > LOG_BYTES:
            log_file.replace(log_file.with_suffix(".log.1"))
        with log_file.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - the operator's preset, no shell
                command,
                env=inherited(os.environ) | dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        child.returncode = 0  # it may outlive us, and is reaped by its pid: Popen need not mind it
        try:
            kept = self._keep(engine_id, child.pid)
        except BaseException:  # nobody would find it again
            _signal_group(child.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
            raise
        return Process(kept.pid, kept.started_at)

    def _keep(self, engine_id: str, pid: int) -> _Kept:
        kept = _seen(pid)
        fresh = self._pid_file(engine_id).with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(self._pid_file(engine_id))
        return kept

    def _is_alive(self, kept: _Kept) -> bool:
        _reap(kept.pid)
        try:
            now = _seen(kept.pid)
            same = abs(now.since_boot - kept.since_boot) < 1.0 and abs(now.started_at - kept.started_at) < DAY
            return same and psutil.Process(kept.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    async def _gone(self, kept: _Kept, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._is_alive(kept) and loop.time() < deadline:  # noqa: ASYNC110 - the kernel sends no event
            await asyncio.sleep(LOOK_SECONDS)

    def _kept(self, engine_id: str) -> _Kept | None:
        try:
            return msgspec.json.decode(self._pid_file(engine_id).read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return None

    def _pid_file(self, engine_id: str) -> Path:
        return self._folder / f"{engine_id}.pid"

    def _log_file(self, engine_id: str) -> Path:
        return self._folder / f"{engine_id}.log"


def inherited(env: Mapping[str, str]) -> dict[str, str]:
    """The environment an engine gets: ours without our own settings, which hold passwords."""
    return {name: value for name, value in env.items() if not name.startswith("SAGE_")}


def _reap(pid: int) -> None:
    """Take a child of ours that ended off the process table; one that an earlier control-plane started is not ours."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _seen(pid: int) -> _Kept:
    started_at = psutil.Process(pid).create_time()
    return _Kept(pid, started_at, started_at - psutil.boot_time())


def _is_ours_still(kept: _Kept) -> bool:
    """Whether the group of a process that ended is still its own: the pid is not another's, and there was no reboot."""
    return not psutil.pid_exists(kept.pid) and kept.started_at >= psutil.boot_time() - 1.0


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
