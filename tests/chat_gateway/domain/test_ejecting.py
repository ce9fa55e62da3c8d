"""The rules of ejection, as tables and over random histories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.domain.ejecting import (
    FAILURES_IN_A_ROW,
    FORGIVEN_SECONDS,
    LONGEST_SECONDS,
    Standing,
    failed,
    out,
    pardoned,
    succeeded,
)


def ejected(standing: Standing, now: float) -> Standing:
    for _ in range(FAILURES_IN_A_ROW):
        standing = failed(standing, now)
    return standing


def test_the_fifth_failure_in_a_row_ejects() -> None:
    four = Standing()
    for _ in range(FAILURES_IN_A_ROW - 1):
        four = failed(four, 50.0)

    assert four.until == 0.0
    assert failed(four, 50.0) == Standing(failures=0, times=1, until=60.0)


def test_each_time_is_longer_up_to_a_limit() -> None:
    now, standing, lengths = 0.0, Standing(), list[float]()
    for _ in range(40):
        standing = ejected(standing, now)
        lengths.append(standing.until - now)
        now = standing.until

    assert lengths[:3] == [10.0, 20.0, 30.0]
    assert lengths[-1] == max(lengths) == LONGEST_SECONDS


def test_after_a_long_time_in_good_standing_it_is_short_again() -> None:
    standing = ejected(Standing(times=7, until=100.0), 100.0 + FORGIVEN_SECONDS + 1)

    assert standing.times == 1


def test_what_fails_while_it_is_out_is_no_news() -> None:
    standing = ejected(Standing(), 0.0)

    assert ejected(standing, 5.0) == standing


def test_a_pardoned_engine_is_back_and_its_record_stays() -> None:
    assert pardoned(Standing(failures=2, times=3, until=90.0), 50.0) == Standing(failures=0, times=3, until=50.0)
    assert pardoned(Standing(until=20.0), 50.0).until == 20.0


@pytest.mark.parametrize(
    ("bad", "engines", "expected"),
    [
        ("", "ab", ""),
        ("a", "ab", "a"),
        ("a", "a", ""),
        ("ab", "abc", ""),
        ("ab", "abcd", "ab"),
        ("abc", "abcd", ""),
        ("ax", "ab", "a"),
    ],
)
def test_never_more_than_half_of_a_models_engines_are_out(bad: str, engines: str, expected: str) -> None:
    standings = {name: Standing(until=10.0) for name in bad}

    assert out(standings, engines, 5.0) == frozenset(expected)
    assert out(standings, engines, 10.0) == frozenset()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 60)), max_size=200))
def test_over_any_history_an_engine_comes_back(history: list[tuple[bool, float]]) -> None:
    now, standing, row = 0.0, Standing(), 0
    for is_good, later in history:
        now += later
        before = standing
        is_out = now < standing.until
        standing = succeeded(standing) if is_good else failed(standing, now)
        row = 0 if is_good or is_out else row + 1
        if standing.until != before.until:
            assert row >= FAILURES_IN_A_ROW
            assert 0 < standing.until - now <= LONGEST_SECONDS
            row = 0
        assert 0 <= standing.failures < FAILURES_IN_A_ROW
