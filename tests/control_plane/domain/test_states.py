from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.states import MISSES_TO_ERROR, Event, Life, step
from sage_contracts.fleet import State

STATES: list[State] = ["STARTING", "READY", "DRAINING", "STOPPED", "ERROR"]

TABLE: dict[State, dict[Event, State]] = {
    "STARTING": {
        Event.ANSWERED: "READY",
        Event.OVERDUE: "ERROR",
        Event.DRAIN: "DRAINING",
        Event.STOP: "STOPPED",
        Event.GAVE_UP: "ERROR",
    },
    "READY": {
        Event.DRAIN: "DRAINING",
        Event.STOP: "STOPPED",
        Event.CRASHED: "STARTING",
        Event.GAVE_UP: "ERROR",
    },
    "DRAINING": {
        Event.RESUME: "STARTING",
        Event.EMPTIED: "STOPPED",
        Event.STOP: "STOPPED",
        Event.CRASHED: "STOPPED",
        Event.GAVE_UP: "STOPPED",
    },
    "STOPPED": {},
    "ERROR": {
        Event.ANSWERED: "READY",
        Event.DRAIN: "DRAINING",
        Event.STOP: "STOPPED",
        Event.CRASHED: "STARTING",
    },
}
"""Every change of state that one event makes; what is not here changes nothing."""

EVENTS = st.lists(st.sampled_from(Event), max_size=60)
PROBES = st.lists(st.sampled_from([Event.ANSWERED, Event.MISSED]), max_size=60)


NEW = Life("STARTING")


def lives(events: Sequence[Event], start: Life = NEW) -> list[Life]:
    """The life before all events, and after each."""
    path = [start]
    for event in events:
        path.append(step(path[-1], event))
    return path


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", Event)
def test_one_event_leads_where_the_table_says(state: State, event: Event) -> None:
    assert step(Life(state), event).state == TABLE[state].get(event, state)


@pytest.mark.parametrize("state", STATES)
def test_two_misses_change_no_state_and_are_counted(state: State) -> None:
    after = lives([Event.MISSED, Event.MISSED], Life(state))[-1]

    assert after == Life(state, 0 if state == "STOPPED" else 2)


def test_the_third_miss_in_a_row_makes_a_ready_engine_an_error() -> None:
    path = lives([Event.MISSED] * 3, Life("READY"))

    assert [life.state for life in path] == ["READY", "READY", "READY", "ERROR"]


def test_an_answer_between_misses_starts_the_count_again() -> None:
    events = [Event.MISSED, Event.MISSED, Event.ANSWERED, Event.MISSED, Event.MISSED]

    assert lives(events, Life("READY"))[-1] == Life("READY", 2)


def test_an_error_goes_on_counting_and_one_answer_heals_it() -> None:
    after = lives([Event.MISSED] * 5, Life("READY"))[-1]

    assert after == Life("ERROR", 5)
    assert step(after, Event.ANSWERED) == Life("READY")


def test_a_starting_engine_may_miss_as_often_as_it_likes_until_its_time_is_over() -> None:
    path = lives([*[Event.MISSED] * 20, Event.OVERDUE])

    assert [life.state for life in path[-2:]] == ["STARTING", "ERROR"]


@given(EVENTS)
def test_no_path_leads_back_from_stopped(events: list[Event]) -> None:
    states = [life.state for life in lives(events)]

    assert "STOPPED" not in states or set(states[states.index("STOPPED") :]) == {"STOPPED"}


@given(EVENTS)
def test_a_draining_engine_is_never_ready_again_without_being_resumed(events: list[Event]) -> None:
    path = lives(events)
    for event, before, after in zip(events, path, path[1:], strict=False):
        if before.state == "DRAINING" and event is not Event.RESUME:
            assert after.state in {"DRAINING", "STOPPED"}


@given(EVENTS)
def test_ready_is_reached_by_an_answer_alone(events: list[Event]) -> None:
    path = lives(events)
    for event, before, after in zip(events, path, path[1:], strict=False):
        if after.state == "READY" != before.state:
            assert event is Event.ANSWERED


@given(PROBES)
def test_probes_alone_make_an_error_at_exactly_the_third_miss_in_a_row(probes: list[Event]) -> None:
    """The model: count the misses at the end of what has been seen."""
    in_row, failed = 0, False
    for probe, life in zip(probes, lives(probes, Life("READY"))[1:], strict=True):
        in_row = 0 if probe is Event.ANSWERED else in_row + 1
        failed = probe is Event.MISSED and (failed or in_row == MISSES_TO_ERROR)
        assert life == Life("ERROR" if failed else "READY", in_row)


@given(EVENTS)
def test_one_answer_heals_every_error(events: list[Event]) -> None:
    for life in lives(events):
        if life.state == "ERROR":
            assert step(life, Event.ANSWERED) == Life("READY")


@given(EVENTS)
def test_misses_are_those_since_the_last_change(events: list[Event]) -> None:
    path = lives(events)
    for event, before, after in zip(events, path, path[1:], strict=False):
        if event is Event.MISSED and before.state != "STOPPED":
            assert after.misses == before.misses + 1
        elif after.state != before.state:
            assert after.misses == 0
