"""The `sage` command."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sage_chassis.health import version_of
from sage_cli.commands import chat, engines, gateway
from sage_cli.failures import INTERRUPTED, Failed
from sage_cli.output import err, print_failure

app = typer.Typer(
    name="sage",
    help="One OpenAI-compatible address in front of your own language models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(gateway.app, name="gateway")
app.add_typer(engines.app, name="llm")
app.add_typer(chat.app, name="chat")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        print(f"sage {version_of('gateway-cli')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """For typer: what stands before the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Those of the command line where none are given. Always ends in SystemExit; docs/cli.md lists the codes."""
    try:
        app(args=arguments)
    except Failed as failed:
        print_failure(failed)
        sys.exit(failed.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
