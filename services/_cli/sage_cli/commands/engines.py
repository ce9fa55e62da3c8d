"""`sage llm`: the engines behind the gateway."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from sage_cli import tails
from sage_cli.api import API, APIBase, ask
from sage_cli.output import AsJSON, duration, out, print_json, print_table
from sage_contracts import management as wire
from sage_contracts.call import Empty
from sage_contracts.fleet import EngineKind, State
from sage_contracts.management import Engine, Engines

app = typer.Typer(help="The engines behind the gateway.", no_args_is_help=True)
engine_app = typer.Typer(help="List, register, start, drain and stop engines.", no_args_is_help=True)
app.add_typer(engine_app, name="engine")

EngineId = Annotated[str, typer.Argument(metavar="ENGINE_ID", help="As `sage llm engine list` names it.")]
DEADLINE_SLACK_SECONDS = 30.0
LOOK_SECONDS = 0.5
MOST_LINES = 1000
"""That the control-plane tells at once."""


@engine_app.command("list")
def list_engines(
    state: Annotated[State | None, typer.Option(help="Only engines in this state.")] = None,
    model: Annotated[str | None, typer.Option(help="Only engines of this model.")] = None,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """Every engine the gateway knows."""

    async def question(api: API) -> Engines:
        return await api.client.call(wire.LIST, wire.EnginesQuery(state=state, model=model))

    found = ask(api_base, question)
    if as_json:
        print_json(found)
        return
    rows = [
        (one.engine_id, one.model_id, one.engine_kind, one.state, one.base_url, one.active_requests, _age(one))
        for one in found.engines
    ]
    columns = ("engine", "model", "kind", "state", "address", "requests", "up")
    print_table(columns, rows, nothing="no engines: register one with `sage llm engine register HOST PORT`")


@engine_app.command()
def register(
    host: Annotated[str | None, typer.Argument(help="Where the engine is.")] = None,
    port: Annotated[int | None, typer.Argument(min=1, max=65535, help="The port it listens on.")] = None,
    host_option: Annotated[str | None, typer.Option("--host", help="The same, as an option.")] = None,
    port_option: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="The same, as an option.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Its model; else the engine is asked.")] = None,
    engine_id: Annotated[str | None, typer.Option("--id", help="What to call it; else it gets a name.")] = None,
    kind: Annotated[EngineKind, typer.Option("--kind", help="What the model is for.")] = "llm",
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """Put an engine that already runs behind the gateway."""
    where, number = host_option or host, port_option or port
    if where is None or number is None:
        raise typer.BadParameter("say where the engine is: sage llm engine register HOST PORT")
    asked = wire.RegisterEngine(host=where, port=number, model_id=model, engine_id=engine_id, engine_kind=kind)

    async def question(api: API) -> Engine:
        return await api.client.call(wire.REGISTER, asked)

    _tell(ask(api_base, question), as_json=as_json)


@engine_app.command()
def start(
    model: Annotated[str, typer.Argument(metavar="MODEL_OR_PRESET", help="A preset, by its name or by its model.")],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Where it listens; else a free port.")] = None,
    label: Annotated[str | None, typer.Option(help="A note of your own.")] = None,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """Start an engine from a preset of the control-plane's; `smollm2` is always there."""
    asked = wire.StartEngine(model_id=model, port=port, engine_label=label)

    async def question(api: API) -> Engine:
        return (await api.client.call(wire.START, asked)).engine

    _tell(ask(api_base, question), as_json=as_json)


@engine_app.command()
def stop(
    engine_id: EngineId,
    drain: Annotated[
        bool, typer.Option("--drain", help="Let it finish what it is answering; without, that is cut off.")
    ] = False,
    deadline_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="How long that may take (300); what is then still being answered is cut off."),
    ] = None,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """Stop an engine, or take one that was registered out of the gateway."""
    asked = wire.StopEngine(engine_id=engine_id, drain=drain, deadline_seconds=deadline_seconds)

    async def question(api: API) -> wire.Stopped:
        return await api.client.call(wire.STOP, asked, timeout=(deadline_seconds or 0) + DEADLINE_SLACK_SECONDS)

    found = ask(api_base, question)
    if as_json:
        print_json(found)
    elif found.stopped:
        out.print(f"{found.engine_id} is stopped")
    else:
        out.print(f"{found.engine_id} is {found.status}: it stops when it has finished what it is answering")


@engine_app.command()
def drain(engine_id: EngineId, as_json: AsJSON = False, api_base: APIBase = None) -> None:
    """Give an engine no more requests; those it has are finished."""

    async def question(api: API) -> Engine:
        return await api.client.call(wire.DRAIN, Empty(), engine_id=engine_id)

    _tell(ask(api_base, question), as_json=as_json)


@engine_app.command()
def resume(engine_id: EngineId, as_json: AsJSON = False, api_base: APIBase = None) -> None:
    """Give a drained engine requests again."""

    async def question(api: API) -> Engine:
        return await api.client.call(wire.RESUME, Empty(), engine_id=engine_id)

    _tell(ask(api_base, question), as_json=as_json)


@engine_app.command()
def logs(
    engine_id: EngineId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what it prints from now.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=MOST_LINES, help="How many to begin with.")] = 100,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """What an engine that was started here printed last. With --follow, --json is one object a line."""

    async def question(api: API) -> wire.Logs:
        return await api.client.call(wire.LOGS, wire.LogsQuery(lines=lines), engine_id=engine_id)

    async def followed(api: API) -> None:
        everything = wire.LogsQuery(lines=MOST_LINES)
        found = await api.client.call(wire.LOGS, everything, engine_id=engine_id)
        _print_lines(engine_id, found.lines[-lines:], as_json=as_json)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = await api.client.call(wire.LOGS, everything, engine_id=engine_id)
            _print_lines(engine_id, tails.fresh(found.lines, now.lines), as_json=as_json)
            found = now

    if follow:
        ask(api_base, followed)
    elif as_json:
        print_json(ask(api_base, question))
    else:
        _print_lines(engine_id, ask(api_base, question).lines, as_json=False)


@engine_app.command()
def prune(as_json: AsJSON = False, api_base: APIBase = None) -> None:
    """Forget the engines that are STOPPED or in ERROR."""

    async def question(api: API) -> wire.Pruned:
        return await api.client.call(wire.PRUNE, Empty())

    found = ask(api_base, question)
    if as_json:
        print_json(found)
    else:
        out.print(f"forgot {found.pruned_count}")


@app.command("gpu")
def list_gpus(as_json: AsJSON = False, api_base: APIBase = None) -> None:
    """The GPUs of this machine, and who uses them."""

    async def question(api: API) -> wire.GPUs:
        return await api.client.call(wire.GPU_LIST, Empty())

    found = ask(api_base, question)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.index,
            one.name,
            f"{one.memory_used_gb:.1f} of {one.memory_total_gb:.1f} GB",
            f"{one.utilization:.0f} %",
            ", ".join(one.engines),
        )
        for one in found.gpus
    ]
    print_table(("gpu", "name", "memory", "busy", "engines"), rows, nothing=found.message or "no GPU was found")


def _tell(engine: Engine, *, as_json: bool) -> None:
    if as_json:
        print_json(engine)
    else:
        out.print(f"{engine.engine_id} is {engine.state}: {engine.model_id} at {engine.base_url}", markup=False)


def _print_lines(engine_id: str, lines: Sequence[str], *, as_json: bool) -> None:
    for line in lines:
        print(msgspec.json.encode({"engine_id": engine_id, "line": line}).decode() if as_json else line, flush=True)


def _age(engine: Engine) -> str:
    return duration(engine.uptime_seconds)
