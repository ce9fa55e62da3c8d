"""What a build has to do, told by comparing the files of now with those of the index."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Paths, each list in order: `kept` ones are carried over as they are, `read` ones are new or changed."""

    kept: list[str]
    read: list[str]
    removed: list[str]

    @property
    def changes_nothing(self) -> bool:
        return not self.read and not self.removed


def plan(before: Mapping[str, str], now: Mapping[str, str]) -> Plan:
    """From the hash of each file in the index and of each file in the folder."""
    return Plan(
        kept=sorted(path for path in now if before.get(path) == now[path]),
        read=sorted(path for path in now if before.get(path) != now[path]),
        removed=sorted(path for path in before if path not in now),
    )
