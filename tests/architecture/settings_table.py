"""The tables of docs/configuration.md, made from the settings themselves: `python -m tests.architecture.settings_table`."""

import re
from importlib import import_module

from sage_chassis.settings import Listen, Variable, describe
from tests.architecture.tree import ROOT, SERVICE_FOLDERS

PAGE = ROOT / "docs" / "configuration.md"


def sections() -> dict[str, list[Variable]]:
    """Each table's name and rows: one for the command line, one for what all services share, one for each service."""
    found: dict[str, list[Variable]] = {"cli": [*describe(import_module("sage_cli.settings").Settings, prefix="SAGE_")]}
    shared: dict[str, Variable] = {}
    for folder in SERVICE_FOLDERS:
        prefix = f"SAGE_{folder.name.replace('-', '_').upper()}_"
        settings = import_module(f"{folder.name.replace('-', '_')}.settings").Settings
        rows = [*describe(Listen, prefix=prefix), *describe(settings, prefix=prefix)]
        shared |= {row.name: row for row in rows if not row.name.startswith(prefix)}
        found[folder.name] = [row for row in rows if row.name.startswith(prefix)]
    return {"shared": list(shared.values()), **found}


def table(rows: list[Variable]) -> str:
    lines = ["| variable | default | what it is for |", "|---|---|---|"]
    for row in rows:
        default = (
            "required" if row.default is None else f"`{row.default}`" if row.default not in {"", "None"} else "none"
        )
        lines.append(f"| `{row.name}` | {default} | {row.description} |")
    return "\n".join(lines)


def rendered(page: str) -> str:
    """`page` with each table between its markers made anew."""
    for name, rows in sections().items():
        pattern = re.compile(rf"(<!-- settings: {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        assert pattern.search(page), f"docs/configuration.md has no table {name!r}"
        page = pattern.sub(lambda found, rows=rows: found[1] + table(rows) + found[2], page)
    return page


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
