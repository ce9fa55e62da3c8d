"""`sage gateway`: the whole stack on this machine."""

import asyncio
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import FrameType
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sage_cli import api, demo_engine, log_files, settings, starting, status
from sage_cli.failures import NOT_RUNNING, Failed
from sage_cli.home import Home, Kept
from sage_cli.output import AsJSON, duration, err, megabytes, out, print_json, print_table
from sage_cli.settings import Settings
from sage_cli.starting import Up
from sage_cli.supervision import Supervisor, leftovers
from sage_contracts import management
from sage_contracts.errors import SageError
from sage_contracts.management import Engine
from sage_contracts.names import DEFAULT_MODEL

app = typer.Typer(
    help="Start, stop and watch the whole stack on this machine: nginx, Valkey, the services, an engine.",
    no_args_is_help=True,
)

NoEngine = Annotated[bool, typer.Option("--no-engine", help="Look for no engine and start none.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Listen beyond this machine although there are no keys.")]


@app.command()
def start(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, and stop everything on Ctrl-C.")] = False,
    no_engine: NoEngine = False,
    insecure: Insecure = False,
    as_json: AsJSON = False,
) -> None:
    """Start the stack and wait until it is healthy. Does nothing when it runs already."""
    config = settings.load()
    home = Home(config.folder)
    signal.signal(signal.SIGTERM, _interrupted)
    with home.locked():
        up = _start(home, config, no_engine=no_engine, insecure=insecure)
    if foreground:
        _stay(home, config, lambda: _tell(up, as_json=as_json))
    else:
        _tell(up, as_json=as_json)


@app.command()
def stop(as_json: AsJSON = False) -> None:
    """Stop everything, engines of the control-plane's too. What is stored stays."""
    config = settings.load()
    home = Home(config.folder)
    with home.locked():
        had_any = starting.stop(home, config)
    if as_json:
        print_json({"was_running": had_any})
    else:
        out.print("stopped" if had_any else "the gateway was not running")


@app.command()
def restart(no_engine: NoEngine = False, insecure: Insecure = False, as_json: AsJSON = False) -> None:
    """Stop everything and start it again, with the settings as they are now."""
    config = settings.load()
    home = Home(config.folder)
    signal.signal(signal.SIGTERM, _interrupted)
    starting.prepared(config, insecure=insecure)
    with home.locked():
        starting.stop(home, config)
        up = _start(home, config, no_engine=no_engine, insecure=insecure)
    _tell(up, as_json=as_json)


@app.command("status")
def show_status(as_json: AsJSON = False) -> None:
    """Every process with its memory, and every engine. Exits with 3 when the stack is not running."""
    home = Home(settings.load().folder)
    kept = home.kept()
    found = status.of(home, kept, asyncio.run(_engines(kept)) if kept else None)
    if as_json:
        print_json(found)
    elif found.running:
        _print_status(found)
    else:
        out.print("the gateway is not running: start it with `sage gateway start`")
        if rest := leftovers(home, kept.session if kept else None):
            out.print(f"{len(rest)} processes of it have outlived supervisord: `sage gateway stop` ends them")
    if not found.running:
        raise typer.Exit(NOT_RUNNING)


@app.command()
def logs(
    name: Annotated[
        str | None, typer.Argument(help="One program, as `sage gateway status` names it; else all.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each to begin with.")] = 20,
    as_json: AsJSON = False,
) -> None:
    """The last lines of the logs. With --json, one object a line."""
    home = Home(settings.load().folder)
    files = log_files.found(home.logs, name)
    if not files:
        known = ", ".join(log_files.found(home.logs, None)) or "none yet"
        raise Failed(f"there is no log of {name}; there are: {known}" if name else f"there are no logs in {home.logs}")
    log_files.show(files, lines=lines, follow=follow, as_json=as_json)


def _start(home: Home, config: Settings, *, no_engine: bool, insecure: bool) -> Up:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def progress(ready: Mapping[str, bool]) -> None:
            missing = [name for name, is_ready in ready.items() if not is_ready]
            bar.update(task, description=f"waiting for {', '.join(missing)}" if missing else "ready")

        return starting.start(home, config, no_engine=no_engine, insecure=insecure, progress=progress)


def _tell(up: Up, *, as_json: bool) -> None:
    url = up.kept.url
    if as_json:
        told = {"url": url, "engine": up.kept.engine, "models": up.kept.models, "was_running": up.was_running}
        print_json(told)
        return
    model = demo_engine.MODEL if demo_engine.MODEL in up.kept.models else DEFAULT_MODEL
    out.print(f"SAGE Gateway {'is already running' if up.was_running else 'is up'}: {url}/v1")
    out.print(f"engine: {up.kept.engine}", markup=False)
    out.print("\ntry it:")
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    out.print(f"  curl {url}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'", markup=False)
    ask = f'messages=[{{"role": "user", "content": "Hello!"}}]).choices[0].message.content'  # noqa: F541
    python = f'from openai import OpenAI; print(OpenAI(base_url="{url}/v1", api_key="none").chat.completions.create('
    ours = shlex.quote(sys.executable)
    if find_spec("openai") is None:
        out.print(f"  {ours} -m pip install openai", markup=False)
    out.print(f"  {ours} -c '{python}model=\"{model}\", {ask})'", markup=False)
    out.print(f"  {'sage' if shutil.which('sage') else sys.argv[0]} chat", markup=False)


def _stay(home: Home, config: Settings, tell: Callable[[], None]) -> None:
    """Until Ctrl-C or TERM, or until somebody else stops the stack; then leave nothing running."""
    supervisor = Supervisor(home)
    try:
        tell()
        supervisor.wait()
    except KeyboardInterrupt:
        err.print("stopping")
    finally:
        with home.locked():
            starting.stop(home, config)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


async def _engines(kept: Kept) -> Sequence[Engine] | None:
    async with api.connected(kept.url) as connection:
        try:
            return (await connection.client.call(management.LIST, management.EnginesQuery(), timeout=3)).engines
        except SageError:
            return None


def _print_status(found: status.StackStatus) -> None:
    out.print(f"{found.url}/v1 · {found.home}\n")
    rows = [
        (item.name, item.pid or "-", item.state, duration(item.uptime_seconds), megabytes(item.rss_bytes))
        for item in found.processes
    ]
    print_table(("process", "pid", "state", "up", "memory"), rows, nothing="")
    out.print(f"\nmemory of all of it without the engine: {megabytes(found.rss_bytes_without_engine)}\n")
    if found.engines is None:
        out.print("engines: the control-plane does not answer")
        return
    engines = [(one.engine_id, one.model_id, one.engine_kind, one.state, one.base_url) for one in found.engines]
    nothing = "no engines: register one with `sage llm engine register HOST PORT`"
    print_table(("engine", "model", "kind", "state", "address"), engines, nothing=nothing)
