"""How the commands speak: to a person in tables and sentences, to a program in JSON."""

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sage_cli.failures import Failed

_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that turn the direction of writing."""

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

# Nothing is folded where there is no window to fit into: a pipe, a file.
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 1000)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, nothing: str) -> None:
    """A table as wide as it needs to be; `nothing` is said where there are no rows."""
    if not rows:
        out.print(nothing)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out.print(table)


def print_failure(failed: Failed) -> None:
    """One sentence, and what the log last said."""
    err.print(Text(f"sage: {failed.message}", style="bold red"))
    if failed.log:
        err.print(Text(f"the last lines of {failed.log_name}:"))
        for line in failed.log:
            err.print(Text(f"  {line}"))
    sys.stderr.flush()


def printable(text: str) -> str:
    """Without what a terminal would obey: text of models, documents and file names may hold its control sequences."""
    return _OBEYED.sub("\ufffd", text.replace("\r", ""))


def one_line(text: str) -> str:
    """The same, of what must not look like two lines: a file's name may hold any character."""
    return " ".join(printable(text).split())


def megabytes(number: int) -> str:
    return f"{number / 1024 / 1024:.0f} MB"


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
