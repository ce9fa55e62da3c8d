"""`sage chat`: talk with a model in the terminal; index a folder so that answers cite it."""

from functools import partial
from typing import Annotated

import typer

from sage_cli.api import APIBase, address, ask
from sage_cli.commands.ingest import ingest
from sage_cli.failures import Failed
from sage_cli.output import AsJSON, err, print_failure, print_json
from sage_cli.talking import Conversation
from sage_contracts.names import DEFAULT_MODEL

app = typer.Typer(help="Talk in the terminal, and index documents to talk about.", invoke_without_command=True)

BYE = {"/bye", "/exit", "/quit"}


@app.callback()
def talk(
    context: typer.Context,
    model: Annotated[str, typer.Option("--model", "-m", help="Which model answers.")] = DEFAULT_MODEL,
    session: Annotated[str | None, typer.Option("--session", "-s", help="Go on with this session.")] = None,
    message: Annotated[str | None, typer.Option("--message", help="Ask this once and leave.")] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Answer from this collection, whichever model it is.")
    ] = None,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """Talk in the terminal. What was said before is remembered, and can be gone on with by its session."""
    if context.invoked_subcommand is not None:
        return

    conversation = Conversation(model=model, session=session, collection=collection)
    if message is not None:
        told = ask(api_base, lambda api: conversation.say(api, message, quietly=as_json))
        if as_json:
            sources = {"citations": told.citations} if told.citations else {}
            print_json({"session_id": conversation.session, "model": model, "content": told.text, **sources})
        return
    if as_json:
        raise typer.BadParameter("--json needs --message: a conversation is for people")
    greeting = f"{model} at {address(api_base)}; session {conversation.session}; leave with /bye or Ctrl-D"
    err.print(greeting, markup=False)
    # Outside of any loop: Ctrl-C could not reach a thread that waits for a line.
    while (said := _read()) is not None:
        if not said:
            continue
        try:
            ask(api_base, partial(conversation.say, text=said))
        except Failed as failed:
            print_failure(failed)  # one answer that failed does not end the conversation


app.command()(ingest)


def _read() -> str | None:
    """What was typed; None at the end."""
    try:
        said = input("> ").strip()
    except EOFError:
        return None
    return None if said in BYE else said
