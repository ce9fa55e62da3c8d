"""What an unfinished draft has come to, on the disk beside it: so that a build that was killed goes on."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from rag_indexer.domain.manifest import FileState

_FILE = "draft.jsonl"


class Header(Struct, frozen=True, kw_only=True):
    """What a draft is: only a build of the same kind goes on with it. `base` is the version a change began with."""

    fresh: bool
    fingerprint: str
    dimensions: int
    base: str | None = None


class _Line(Struct, frozen=True, kw_only=True):
    """A file that is in the draft with all its passages; without a state, one that is not in it any more."""

    path: str
    state: FileState | None = None


class Journal:
    """Lines are written only after the shard has been flushed: whatever they tell of is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def begin(self, header: Header) -> None:
        """Not made to last through a power cut: a draft without a beginning is dropped, and that is all."""
        self._path.write_bytes(msgspec.json.encode(header) + b"\n")

    def write(self, changes: dict[str, FileState | None]) -> None:
        lines = [msgspec.json.encode(_Line(path=path, state=state)) for path, state in changes.items()]
        self._append(b"".join(line + b"\n" for line in lines))

    def header(self) -> Header | None:
        """None when there is no draft, or none that can be gone on with."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.readline(), type=Header)
        except (OSError, msgspec.MsgspecError):
            return None

    def changes(self) -> dict[str, FileState | None]:
        """The last word on each file. A last line that was cut off counts as not written."""
        found: dict[str, FileState | None] = {}
        with self._path.open("rb") as file:
            file.readline()
            for raw in file:
                try:
                    line = msgspec.json.decode(raw, type=_Line)
                except msgspec.MsgspecError:
                    break
                found[line.path] = line.state
        return found

    def end(self) -> None:
        self._path.unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
