"""
Print what the image of one service needs, as read from the packages' pyproject.toml files.

`requirements.py third-party services/session-store` prints the third-party requirements of the service and of every
local package it stands on, for `pip install -r`; `requirements.py local …` prints the folders of those packages, the
service's own last, for `pip install --no-index`.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Package(NamedTuple):
    """A package of this repository: its folder and what it depends on."""

    folder: Path
    dependencies: list[str]


def name_of(requirement: str) -> str:
    """The normalised name of the distribution that a requirement asks for."""
    match = NAME.match(requirement)
    if match is None:
        raise SystemExit(f"not a requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def packages(root: Path) -> dict[str, Package]:
    """Every local package below the root, by name; a build context may hold only some of them."""
    found = {}
    for path in sorted([*root.glob("*/pyproject.toml"), *root.glob("services/*/pyproject.toml")]):
        project = tomllib.loads(path.read_text())["project"]
        found[name_of(project["name"])] = Package(path.parent, project.get("dependencies", []))
    return found


def closure(package: Package, local: dict[str, Package]) -> Iterator[Package]:
    """The local packages that one stands on, each after those it needs itself."""
    for dependency in package.dependencies:
        if below := local.get(name_of(dependency)):
            yield from closure(below, local)
    yield package


def main(what: str, folder: str) -> None:
    root = Path.cwd()
    local = packages(root)
    wanted = next((package for package in local.values() if package.folder == root / folder), None)
    if wanted is None:
        raise SystemExit(f"{folder} has no pyproject.toml")
    needed = list(dict.fromkeys(package.folder for package in closure(wanted, local)))
    if what == "local":
        print(*(path.relative_to(root) for path in needed), sep="\n")
        return
    requirements = {line for package in local.values() if package.folder in needed for line in package.dependencies}
    print(*sorted(line for line in requirements if name_of(line) not in local), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
