"""
Which part of a session's log of messages a branch is: ranges of positions, oldest first.

A position counts the messages that the session ever took, from 0, and is never given twice: not after a clear, and not
after a turn that was taken back.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Range(NamedTuple):
    """The positions from `first` to `behind`, which is not among them."""

    first: int
    behind: int


Ranges = tuple[Range, ...]


def count(ranges: Ranges) -> int:
    return sum(part.behind - part.first for part in ranges)


def positions(ranges: Ranges) -> list[int]:
    return [position for part in ranges for position in range(*part)]


def newest(ranges: Ranges, number: int) -> list[int]:
    """The last `number` positions, oldest first; all where there are fewer."""
    found: list[int] = []
    for part in reversed(ranges):
        missing = number - len(found)
        if missing <= 0:
            break
        found[:0] = range(max(part.first, part.behind - missing), part.behind)
    return found


def holds(ranges: Ranges, position: int) -> bool:
    return any(part.first <= position < part.behind for part in ranges)


def before(ranges: Ranges, position: int) -> Ranges:
    """What of them lies before `position`."""
    return tuple(Range(part.first, min(part.behind, position)) for part in ranges if part.first < position)


def covering(ranges: Ranges, number: int) -> Ranges:
    """All of them in `number` ranges at most, with as little from between them as may be."""
    if len(ranges) <= number:
        return ranges
    gaps = sorted(range(1, len(ranges)), key=lambda place: ranges[place].first - ranges[place - 1].behind)
    firsts = [0, *sorted(gaps[len(gaps) - number + 1 :])]
    return tuple(
        Range(ranges[first].first, ranges[after - 1].behind)
        for first, after in zip(firsts, [*firsts[1:], len(ranges)], strict=True)
    )


def joined(ranges: Ranges, part: Range) -> Ranges:
    """Longer by `part`, which lies behind them all."""
    if part.first == part.behind:
        return ranges
    if ranges and ranges[-1].behind == part.first:
        return (*ranges[:-1], Range(ranges[-1].first, part.behind))
    return (*ranges, part)


def written(ranges: Ranges) -> str:
    """`0-10,12-14`."""
    return ",".join(f"{part.first}-{part.behind}" for part in ranges)


def read(text: str) -> Ranges:
    """What `written` wrote."""
    return tuple(_range(part.split("-")) for part in text.split(",") if part)


def _range(ends: Sequence[str]) -> Range:
    first, behind = ends
    return Range(int(first), int(behind))
