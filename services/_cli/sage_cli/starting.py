"""Bring the local stack up: all of it, or nothing."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import msgspec

from sage_cli import binaries, engines, ports, programs, supervisor_conf
from sage_cli.engines import Choice
from sage_cli.failures import Failed
from sage_cli.home import Home, Kept, last_lines
from sage_cli.programs import Binaries
from sage_cli.settings import Settings
from sage_cli.supervision import Process, Supervisor, end, leftovers
from sage_contracts import chat
from sage_contracts import service as wire
from sage_contracts.chat import ModelList

LOOK_SECONDS = 0.15
ASK_SECONDS = 2.0
LOG_LINES = 15
OTHERS_ENGINE_SECONDS = 10.0
"""How long an engine that is not ours is waited for: the stack is whole without it."""

ASKED_THROUGH_NGINX = {"valkey", "nginx", "engine"}
"""Programs without a `/readyz`."""

Progress = Callable[[Mapping[str, bool]], None]
"""Is told, again and again, which programs are ready."""


@dataclass(frozen=True, slots=True)
class Up:
    """A stack that runs; `was_running` when it already did."""

    kept: Kept
    was_running: bool = False


def start(home: Home, settings: Settings, *, no_engine: bool, insecure: bool, progress: Progress) -> Up:
    """
    Start what is not running, and return once everything answers, through nginx too.

    Fails with one sentence and the log that says why, and leaves nothing running then; also when interrupted.
    """
    supervisor = Supervisor(home)
    if supervisor.pid() is not None and (kept := home.kept()) is not None:
        # Its engine may have gone since: that is no reason not to call it running.
        asyncio.run(_healthy(supervisor, home, settings, msgspec.structs.replace(kept, models=()), progress))
        return Up(kept, was_running=True)
    found = prepared(settings, insecure=insecure)
    stop(home, settings)  # what a supervisord that was killed has left behind
    ports.require_free(settings.host, settings.port)
    choice = asyncio.run(engines.choose(settings, none=no_engine))
    kept = _kept(home, settings, choice)
    _configure(home, kept, settings, choice, found)
    try:
        session = supervisor.launch(binaries.supervisord(), environment(home, kept, settings, choice, os.environ))
        kept = msgspec.structs.replace(kept, session=session)
        home.keep(kept)
        asyncio.run(_healthy(supervisor, home, settings, kept, progress))
    except BaseException:
        stop(home, settings)
        raise
    return Up(kept)


def stop(home: Home, settings: Settings) -> bool:
    """End everything of this home's stack; whether there was anything."""
    supervisor = Supervisor(home)
    kept = home.kept()
    session = kept.session if kept else None
    was_running = supervisor.pid() is not None
    if was_running:
        supervisor.shutdown(settings.stop_seconds * 2 + 30)
    rest = leftovers(home, session)
    end(rest)
    home.socket.unlink(missing_ok=True)
    (home.nginx / "nginx.pid").unlink(missing_ok=True)
    return was_running or bool(rest)


def prepared(settings: Settings, *, insecure: bool) -> Binaries:
    """What can be known to stand in the way of a start without touching anything."""
    _refuse_openness(settings, insecure=insecure)
    engines.shown(settings.upstream_url)
    binaries.supervisord()
    return Binaries(nginx=binaries.nginx(), valkey=binaries.valkey())


def _refuse_openness(settings: Settings, *, insecure: bool) -> None:
    if not insecure and not engines.is_loopback(settings.host):
        raise Failed(
            f"SAGE_GATEWAY_HOST={settings.host} would let other machines in, and there are no API keys yet: "
            "use 127.0.0.1, or add --insecure if everybody who can reach this machine may use it"
        )


def _kept(home: Home, settings: Settings, choice: Choice) -> Kept:
    before = home.kept()
    names = programs.port_names(settings, choice)
    return Kept(
        host=settings.host,
        port=settings.port,
        password=before.password if before else secrets.token_urlsafe(32),
        ports=ports.chosen(names, kept=before.ports if before else {}),
        engine=choice.told,
        models=choice.models,
    )


def _configure(home: Home, kept: Kept, settings: Settings, choice: Choice, found: Binaries) -> None:
    listed = programs.programs(home, kept, settings, choice, found)
    files = {
        "nginx.conf": programs.nginx_conf(kept, settings),
        "valkey.conf": programs.valkey_conf(home, kept, settings),
        "supervisord.conf": supervisor_conf.rendered(home, listed, as_root=os.geteuid() == 0),
    }
    for name, text in files.items():
        home.write(home.config / name, text.encode())
    home.keep(kept)


def environment(home: Home, kept: Kept, settings: Settings, choice: Choice, users: Mapping[str, str]) -> dict[str, str]:
    """What supervisord gets: `users` before our defaults, and before both what the stack must have."""
    given = programs.defaults(home, is_local=engines.is_loopback(settings.host), demo=choice.demo)
    # To the services an empty variable is an absent one: it must not take away what stands here in its place.
    meant = {name: value for name, value in users.items() if value.strip() or name not in given}
    return given | meant | programs.environment(home, kept, settings, choice)


async def _healthy(supervisor: Supervisor, home: Home, settings: Settings, kept: Kept, progress: Progress) -> None:
    """Return once everything is ready; fail as soon as something has ended, or is not ready in time."""
    began = time.monotonic()
    seen: dict[str, int] = {}
    timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        while True:
            processes = supervisor.processes()
            _refuse_dead(processes, seen, home)
            ready = await _ready(http, kept, processes)
            progress(ready)
            missing = [name for name, is_ready in ready.items() if not is_ready]
            waited = time.monotonic() - began
            is_others = missing == ["engine"] and "engine" not in seen
            if not missing or (is_others and waited > OTHERS_ENGINE_SECONDS):
                return
            if waited > settings.start_seconds:
                raise _late(home, missing, settings.start_seconds)
            await asyncio.sleep(LOOK_SECONDS)


def _refuse_dead(processes: Sequence[Process], seen: dict[str, int], home: Home) -> None:
    for process in processes:
        has_ended = process.state in {"BACKOFF", "EXITED", "FATAL"}
        if not has_ended and process.pid is not None:
            has_ended = seen.setdefault(process.name, process.pid) != process.pid
        if has_ended:
            log = home.log(process.name)
            told = f"{process.name} ended while it was starting ({process.description})"
            raise Failed(told, log=last_lines(log, LOG_LINES), log_name=str(log))


async def _ready(http: aiohttp.ClientSession, kept: Kept, processes: Sequence[Process]) -> dict[str, bool]:
    """Each program; nginx is ready when chat-gateway answers through it, the engine when its models are listed."""
    services = [process.name for process in processes if process.name not in ASKED_THROUGH_NGINX]
    answers = await asyncio.gather(*(_answers(http, kept.ports[name]) for name in services))
    models = await _models(http, kept)
    ready = {process.name: process.state == "RUNNING" for process in processes}
    ready |= {name: ready[name] and answer for name, answer in zip(services, answers, strict=True)}
    ready["nginx"] = models is not None
    if kept.models:
        ready["engine"] = models is not None and models.issuperset(kept.models)
    return ready


async def _answers(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}{wire.READYZ.path}") as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _models(http: aiohttp.ClientSession, kept: Kept) -> set[str] | None:
    """What can be asked for through nginx; None while nobody answers there."""
    try:
        async with http.get(kept.url + chat.MODELS.path) as response:
            listed = msgspec.json.decode(await response.read(), type=ModelList)
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError):
        return None
    return {model.id for model in listed.data}


def _late(home: Home, missing: Sequence[str], seconds: float) -> Failed:
    log = home.log(missing[0])
    told = f"{' and '.join(missing)} did not become ready within {seconds:g} s"
    return Failed(told, log=last_lines(log, LOG_LINES), log_name=str(log))
