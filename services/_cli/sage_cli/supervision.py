"""supervisord: started, asked, ended; and what is left of one that was killed."""

import http.client
import os
import resource
import signal
import subprocess
import time
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import psutil
from supervisor.xmlrpc import SupervisorTransport

from sage_cli.failures import Failed
from sage_cli.home import Home, last_lines
from sage_cli.programs import MARK, open_files

LOOK_SECONDS = 0.1
DAEMON_SECONDS = 10.0
END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """One program as supervisord sees it. `state` is its word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL."""

    name: str
    pid: int | None
    state: str
    uptime_seconds: float
    description: str


class Supervisor:
    """The supervisord of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def pid(self) -> int | None:
        """None when it does not run, or does not answer."""
        try:
            return int(self._call("getPID"))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return None

    def launch(self, command: Sequence[str], env: Mapping[str, str]) -> int:
        """Start it, in a session of its own whose id is returned. Fails with its last words if it does not come up."""
        output = self._home.logs / "supervisord.out"
        config = str(self._home.config / "supervisord.conf")
        self._home.socket.unlink(missing_ok=True)
        with output.open("wb") as file:
            daemon = subprocess.Popen(
                [*command, "-n", "-c", config],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=_prepare,  # noqa: PLW1509 - nothing of ours runs threads here
            )
        deadline = time.monotonic() + DAEMON_SECONDS
        while time.monotonic() < deadline:
            if self.pid() == daemon.pid:
                return daemon.pid
            if daemon.poll() is not None:
                break
            time.sleep(LOOK_SECONDS)
        daemon.kill()
        daemon.wait()
        raise Failed("supervisord does not start", log=last_lines(output, 20), log_name=str(output))

    def wait(self) -> None:
        """Until it ends, however that comes."""
        pid = self.pid()
        while pid is not None and _alive(pid):
            time.sleep(LOOK_SECONDS)

    def processes(self) -> list[Process]:
        told = cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        return [_process(item) for item in told]

    def shutdown(self, seconds: float) -> bool:
        """Stop every program, then itself; whether all that was done in time."""
        pid = self.pid()
        if pid is None:
            return True
        try:
            self._call("shutdown")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        return _within(seconds, lambda: not _alive(pid))

    def _call(self, method: str) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._home.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
                return getattr(server.supervisor, method)()
        finally:
            transport.close()


def leftovers(home: Home, session: int | None) -> list[psutil.Process]:
    """
    What still runs of this home's stack: marked by its environment or command, or in the session of its supervisord.

    nginx and Valkey write over their environment, hence the session; an engine that the control-plane started has a
    session of its own, hence the mark. A session counts only when one in it bears the mark: its number may be taken by
    now.
    """
    mine = [process for process in psutil.process_iter() if process.pid != os.getpid() and _is_users(process)]
    marked = [process for process in mine if _is_marked(process, home)]
    sessions = {_session(process) for process in marked}
    if session is None or session not in sessions:
        return marked
    return [process for process in mine if process in marked or _session(process) == session]


def end(processes: Sequence[psutil.Process]) -> None:
    """TERM, a few seconds, KILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.Error:
                continue
        _, processes = psutil.wait_procs(processes, timeout=END_SECONDS)
        if not processes:
            return


def _process(item: Mapping[str, Any]) -> Process:
    started, now = float(item["start"]), float(item["now"])
    is_up = item["statename"] in {"RUNNING", "STARTING"} and started > 0
    return Process(
        name=item["name"],
        pid=item["pid"] or None,
        state=item["statename"],
        uptime_seconds=max(0.0, now - started) if is_up else 0.0,
        description=item["spawnerr"] or item["description"],
    )


def _prepare() -> None:
    """What supervisord and all it starts inherit: many open files, and files for their owner's eyes alone."""
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files(), hard))


def _within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(LOOK_SECONDS)
    return true()


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_users(process: psutil.Process) -> bool:
    try:
        return process.uids().real == os.getuid() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_marked(process: psutil.Process, home: Home) -> bool:
    try:
        named = any(f" {home.config}{os.sep}" in f" {word}" for word in process.cmdline())
        return named or process.environ().get(MARK) == str(home.root)
    except (psutil.Error, OSError):
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None
