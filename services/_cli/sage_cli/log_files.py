"""The logs of the local stack: their ends, and what is written to them from now."""

import os
import time
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from sage_cli.home import last_lines

LOOK_SECONDS = 0.2


class Followed:
    """A log read as it grows, also after supervisord has set it aside and begun another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._open()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def fresh(self) -> list[str]:
        """The whole lines written since the last call."""
        found = self._lines()
        if self._was_replaced():
            self._open()
            found += self._lines()
        return found

    def _lines(self) -> list[str]:
        if self._file is None:
            self._open()
        if self._file is None:
            return []
        begun, told = self._file.tell(), self._file.read()
        whole, newline, _ = told.rpartition(b"\n")
        self._file.seek(begun + len(whole) + len(newline))
        return whole.decode("utf-8", "replace").splitlines()

    def _was_replaced(self) -> bool:
        try:
            return self._file is not None and os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino
        except OSError:
            return False

    def _open(self) -> None:
        try:
            opened = self._path.open("rb")
        except OSError:
            return
        self.close()
        self._file = opened


def found(folder: Path, name: str | None) -> dict[str, Path]:
    """Each program's log by its name."""
    return {path.stem: path for path in sorted(folder.glob("*.log")) if name in {None, path.stem}}


def show(files: dict[str, Path], *, lines: int, follow: bool, as_json: bool = False) -> None:
    """Each line with its program before it, where there are several."""
    tell = _print_json if as_json else partial(_print, alone=len(files) == 1)
    followed = {name: Followed(path) for name, path in files.items()} if follow else {}
    for name, path in files.items():
        tell(name, last_lines(path, lines))
    while followed:
        for name, log in followed.items():
            tell(name, log.fresh())
        time.sleep(LOOK_SECONDS)


def _print(name: str, lines: list[str], *, alone: bool) -> None:
    for line in lines:
        print(line if alone else f"{name}: {line}", flush=True)


def _print_json(name: str, lines: list[str]) -> None:
    for line in lines:
        print(msgspec.json.encode({"program": name, "line": line}).decode(), flush=True)
