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


@given(POSITIONS, st.integers(1, 20))
def test_fewer_ranges_hold_all_of_them_and_bridge_the_smallest_gaps(positions: list[int], number: int) -> None:
    found = ranges.covering(of(positions), number)
    gaps = sorted(other.first - one.behind for one, other in itertools.pairwise(of(positions)))

    assert len(found) == min(number, len(of(positions)))
    assert all(ranges.holds(found, position) for position in positions)
    assert ranges.count(found) - len(positions) == sum(gaps[: max(0, len(gaps) - number + 1)])


def test_nothing_joined_changes_nothing() -> None:
    assert ranges.joined((Range(0, 2),), Range(2, 2)) == (Range(0, 2),)
