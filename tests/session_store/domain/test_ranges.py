"""Ranges of positions are what the positions themselves would be."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from session_store.domain import ranges
from session_store.domain.ranges import Range, Ranges

POSITIONS = st.sets(st.integers(0, 60)).map(sorted)


def of(positions: list[int]) -> Ranges:
    found: Ranges = ()
    for position in positions:
        found = ranges.joined(found, Range(position, position + 1))
    return found


@given(POSITIONS)
def test_they_are_the_positions(positions: list[int]) -> None:
    found = of(positions)

    assert ranges.positions(found) == positions
    assert ranges.count(found) == len(positions)
    assert all(one.behind < other.first for one, other in itertools.pairwise(found))


@given(POSITIONS)
def test_what_is_written_is_read(positions: list[int]) -> None:
    assert ranges.read(ranges.written(of(positions))) == of(positions)


@given(POSITIONS, st.integers(0, 70))
def test_the_newest_are_the_last_ones(positions: list[int], number: int) -> None:
    assert ranges.newest(of(positions), number) == (positions[-number:] if number else [])


@given(POSITIONS, st.integers(0, 61))
def test_what_lies_before_a_position(positions: list[int], position: int) -> None:
    assert ranges.positions(ranges.before(of(positions), position)) == [one for one in positions if one < position]
    assert ranges.holds(of(positions), position) == (position in positions)


def test_nothing_joined_changes_nothing() -> None:
    assert ranges.joined((Range(0, 2),), Range(2, 2)) == (Range(0, 2),)
