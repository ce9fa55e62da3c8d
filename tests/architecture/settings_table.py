"""The tables of docs/configuration.md, made from the settings themselves: `python -m tests.architecture.settings_table`."""

from dataclasses import replace
from importlib import import_module

from sage_chassis.settings import Listen, Variable, describe
from tests.architecture.tree import ROOT, SERVICE_FOLDERS

PAGE = ROOT / "docs" / "configuration.md"


def sections() -> dict[str, list[Variable]]:
    """Each table's name and rows: one for the command line, one for what all services share, one for each service."""
    found: dict[str, list[Variable]] = {
        "cli": [*describe(import_module("sage_cli.settings").Settings, prefix="SAGE_GATEWAY_")]
    }
    shared: dict[str, Variable] = {}
    told_above = {row.name for row in found["cli"]}
    for folder in SERVICE_FOLDERS:
        prefix = f"SAGE_{folder.name.replace('-', '_').upper()}_"
        module = import_module(f"{folder.name.replace('-', '_')}.settings")
        rows = [*describe(Listen, prefix=prefix), *describe(module.Settings, prefix=prefix)]
        rows[0] = replace(rows[0], default=str(module.PORT))
        shared |= {row.name: row for row in rows if not row.name.startswith(prefix)}
        found[folder.name] = [row for row in rows if row.name.startswith(prefix)]
    told_above |= {row.name for rows in found.values() for row in rows}
    kept = [row for name, row in shared.items() if name not in told_above]
    return {"shared": kept, **found}


def table(rows: list[Variable]) -> str:
    lines = ["| variable | default | what it is for |", "|---|---|---|"]
    for row in rows:
        default = f"`{row.default}`" if row.default else "none"
        lines.append(f"| `{row.name}` | {default} | {row.description} |")
    return "\n".join(lines)


def rendered(page: str) -> str:
    """`page` with each table between its markers made anew."""
    for name, rows in sections().items():
        before, marker, rest = page.partition(f"<!-- settings: {name} -->\n")
        assert marker, f"docs/configuration.md has no table {name!r}"
        page = before + marker + table(rows) + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    return page


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
