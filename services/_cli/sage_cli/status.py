"""What runs of the local stack, and what it takes."""

import os
import time
from collections.abc import Sequence

import psutil
from msgspec import Struct

from sage_cli.home import Home, Kept
from sage_cli.supervision import Process, Supervisor
from sage_contracts.management import Engine


class ProcessStatus(Struct, frozen=True, kw_only=True):
    """One program; `rss_bytes` is its and its children's."""

    name: str
    pid: int | None
    state: str
    uptime_seconds: float
    rss_bytes: int


class StackStatus(Struct, frozen=True, kw_only=True):
    running: bool
    home: str
    url: str | None
    engine: str | None
    processes: Sequence[ProcessStatus]
    rss_bytes_without_engine: int
    engines: Sequence[Engine] | None
    """None when the control-plane does not answer."""


def of(home: Home, kept: Kept | None, engines: Sequence[Engine] | None) -> StackStatus:
    supervisor = Supervisor(home)
    pid = supervisor.pid()
    if pid is None or kept is None:
        return StackStatus(
            running=False,
            home=str(home.root),
            url=None,
            engine=None,
            processes=[],
            rss_bytes_without_engine=0,
            engines=None,
        )
    own = psutil.Process(pid)
    supervisord = ProcessStatus(
        name="supervisord",
        pid=pid,
        state="RUNNING",
        uptime_seconds=max(0.0, time.time() - own.create_time()),
        rss_bytes=own.memory_info().rss,
    )
    processes = [supervisord, *(_status(process) for process in supervisor.processes())]
    return StackStatus(
        running=True,
        home=str(home.root),
        url=kept.url,
        engine=kept.engine,
        processes=processes,
        rss_bytes_without_engine=sum(item.rss_bytes for item in processes if item.name != "engine"),
        engines=engines,
    )


def _status(process: Process) -> ProcessStatus:
    return ProcessStatus(
        name=process.name,
        pid=process.pid,
        state=process.state,
        uptime_seconds=process.uptime_seconds,
        rss_bytes=_rss(process.pid),
    )


def _rss(pid: int | None) -> int:
    """Of a whole family: Granian and nginx work in children. Engines of the control-plane's are not its memory."""
    if pid is None:
        return 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for member in family:
        try:
            if member.pid == pid or _same_group(member.pid, pid):
                total += member.memory_info().rss
        except psutil.Error:
            continue
    return total


def _same_group(pid: int, leader: int) -> bool:
    try:
        return os.getpgid(pid) == leader
    except OSError:
        return False
