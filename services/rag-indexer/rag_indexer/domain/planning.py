"""What a build has to do, told by comparing the files of now with those of the index."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from rag_indexer.domain.manifest import FileState, Manifest


@dataclass(frozen=True, slots=True)
class Plan:
    """
    Paths, each list in order: `kept` ones stay as they are, `added` and `changed` ones are read, and `moved` ones, from
    and to, have the content of a file that is gone: they are only labelled anew.
    """

    kept: list[str]
    added: list[str]
    changed: list[str]
    moved: list[tuple[str, str]]
    removed: list[str]

    @property
    def read(self) -> list[str]:
        return sorted([*self.added, *self.changed])

    @property
    def changes_nothing(self) -> bool:
        return not (self.added or self.changed or self.moved or self.removed)


def plan(before: Manifest, now: Mapping[str, str]) -> Plan:
    """From what the index knows of its files and the hash of each file in the folder."""
    gone = sorted(path for path in before if path not in now)
    free: dict[tuple[str, str], list[str]] = {}
    for path in reversed(gone):
        free.setdefault(_identity(path, before[path].hash), []).append(path)
    moved: list[tuple[str, str]] = []
    added: list[str] = []
    for path in sorted(now.keys() - before.keys()):
        candidates = free.get(_identity(path, now[path]))
        if candidates and _has_passages(before[candidates[-1]]):
            moved.append((candidates.pop(), path))
        else:
            added.append(path)
    sources = {source for source, _ in moved}
    return Plan(
        kept=sorted(path for path in now if path in before and before[path].hash == now[path]),
        added=added,
        changed=sorted(path for path in now if path in before and before[path].hash != now[path]),
        moved=moved,
        removed=[path for path in gone if path not in sources],
    )


def _identity(path: str, content: str) -> tuple[str, str]:
    """The suffix counts too: it chooses the parser."""
    return content, PurePosixPath(path).suffix.lower()


def _has_passages(state: FileState) -> bool:
    return state.chunks > 0
