"""`sage chat`: talk with a model in the terminal; index a folder so that answers cite it."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sage_cli.api import API, APIBase, address, ask
from sage_cli.failures import Failed
from sage_cli.output import AsJSON, err, out, print_failure, print_json
from sage_cli.talking import Conversation
from sage_contracts import index as wire
from sage_contracts.call import Empty
from sage_contracts.index import IndexStatus
from sage_contracts.names import DEFAULT_MODEL

app = typer.Typer(help="Talk in the terminal, and index documents to talk about.", invoke_without_command=True)

LOOK_SECONDS = 0.3
BYE = {"/bye", "/exit", "/quit"}


@app.callback()
def talk(
    context: typer.Context,
    model: Annotated[str, typer.Option("--model", "-m", help="Which model answers.")] = DEFAULT_MODEL,
    session: Annotated[str | None, typer.Option("--session", "-s", help="Go on with this session.")] = None,
    message: Annotated[str | None, typer.Option("--message", help="Ask this once and leave.")] = None,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """Talk in the terminal. What was said before is remembered, and can be gone on with by its session."""
    if context.invoked_subcommand is not None:
        return

    conversation = Conversation(model=model, session=session)
    if message is not None:
        answer = ask(api_base, lambda api: conversation.say(api, message, quietly=as_json))
        if as_json:
            print_json({"session_id": conversation.session, "model": model, "content": answer})
        return
    if as_json:
        raise typer.BadParameter("--json needs --message: a conversation is for people")
    told = f"{model} at {address(api_base)}; session {conversation.session}; leave with /bye or Ctrl-D"
    err.print(told, markup=False)
    # Outside of any loop: Ctrl-C could not reach a thread that waits for a line.
    while (said := _read()) is not None:
        if not said:
            continue
        try:
            ask(api_base, partial(conversation.say, text=said))
        except Failed as failed:
            print_failure(failed)  # one answer that failed does not end the conversation


@app.command()
def ingest(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Markdown and text files are read.")],
    force: Annotated[bool, typer.Option("--force", help="Begin again, also where nothing has changed.")] = False,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """Index a folder, so that `sage-default` answers from it with citations."""
    asked = wire.BuildRequest(source_dir=str(folder.resolve()), force_rebuild=force, wait=False)

    async def question(api: API) -> IndexStatus:
        built = await api.client.call(wire.BUILD, asked)
        if built.job is None:
            return IndexStatus(status="ready", index=built.index)
        return await _watched(api)

    found = ask(api_base, question)
    if found.status != "ready" or found.index is None:
        raise Failed(f"the index was not built: {found.error or found.status}")
    if as_json:
        print_json(found)
        return
    out.print(f"{found.index.num_documents} documents, {found.index.num_chunks} passages: {found.index.source_dir}")
    for skipped in found.index.skipped:
        out.print(f"skipped {skipped}", markup=False)


async def _watched(api: API) -> IndexStatus:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("building", total=None)
        while True:
            found = await api.client.call(wire.STATUS, Empty())
            if found.job is None and found.status != "building":
                return found
            if found.job is not None:
                bar.update(task, description=found.job.stage, completed=found.job.done, total=found.job.total or None)
            await asyncio.sleep(LOOK_SECONDS)


def _read() -> str | None:
    """What was typed; None at the end."""
    try:
        said = input("> ").strip()
    except EOFError:
        return None
    return None if said in BYE else said
