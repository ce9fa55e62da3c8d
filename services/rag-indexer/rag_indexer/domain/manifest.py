"""What an index knows of the files it was made of: enough to tell, without parsing, what has changed."""

from collections.abc import Mapping

from msgspec import Struct


class Stamp(Struct, frozen=True):
    """
    What the file system says of a file's content without reading it; times in nanoseconds.

    The time of the last change of the inode is in it because, unlike the file's own time, no program can set it back.
    """

    size: int
    modified: int
    changed: int
    inode: int
    device: int


class FileState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A file as it was indexed. `unreadable` is why it has no passages: it is not tried again until its content changes.

    `stamp` is None when it proves nothing: the file was changed so lately that another change might not show.
    """

    hash: str
    size: int
    stamp: Stamp | None = None
    chunks: int = 0
    unreadable: str | None = None


Manifest = Mapping[str, FileState]
"""By path, in no order."""


def chunks(manifest: Manifest) -> int:
    return sum(state.chunks for state in manifest.values())


def documents(manifest: Manifest) -> int:
    return sum(state.unreadable is None for state in manifest.values())


def unreadable(manifest: Manifest) -> list[str]:
    return [f"{path}: {state.unreadable}" for path, state in manifest.items() if state.unreadable is not None]


_SETTLED_NANOSECONDS = 2_000_000_000


def proving(stamp: Stamp | None, now: float) -> Stamp | None:
    """The stamp if it proves the content from `now` (unix seconds) on: clocks of file systems tick coarsely."""
    if stamp is None or max(stamp.modified, stamp.changed) > now * 1e9 - _SETTLED_NANOSECONDS:
        return None
    return stamp
