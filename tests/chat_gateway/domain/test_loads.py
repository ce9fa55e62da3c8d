import pytest

from chat_gateway.domain.loads import LATELY_SECONDS, Loads, wait_seconds
from tests.chat_gateway.domain.test_fleet import engine


def test_requests_in_flight_are_counted_until_they_are_freed() -> None:
    loads = Loads()
    free = loads.take("a")
    loads.take("a")
    free()
    free()

    assert (loads.own(), loads.of("a"), loads.of("b")) == ({"a": 1}, 1, 0)


def test_an_engine_without_requests_is_left_out() -> None:
    loads = Loads()
    loads.take("a")()

    assert loads.own() == {}


def test_what_the_other_gateways_have_in_flight_counts_too_but_is_not_our_own() -> None:
    loads = Loads()
    loads.take("a")
    loads.heard({"a": 3, "b": 2})

    assert (loads.of("a"), loads.of("b"), loads.own()) == (4, 2, {"a": 1})


def test_who_waits_is_told_when_a_place_may_be_free() -> None:
    loads, told = Loads(), list[str]()
    loads.when_free(lambda: told.append("free"))
    loads.take("a")()
    loads.heard({})

    assert told == ["free", "free"]


@pytest.mark.parametrize(
    ("waiting", "places", "service_seconds", "expected"),
    [(0, 4, 8.0, 2.0), (3, 4, 8.0, 8.0), (0, 256, 1.0, 1.0), (10_000, 1, 60.0, 600.0), (0, 0, 5.0, 5.0)],
)
def test_the_time_to_wait_follows_from_how_many_are_before(
    waiting: int, places: int, service_seconds: float, expected: float
) -> None:
    assert wait_seconds(waiting, places, service_seconds) == expected


def test_how_long_answers_take_is_measured() -> None:
    loads = Loads()
    for _ in range(30):
        loads.answered("a", 10.0)

    assert loads.wait_seconds([engine("a", limit=2)], waiting=3) == pytest.approx(20.0)
    assert loads.wait_seconds([engine("new", limit=2)], waiting=3) == pytest.approx(2.0)


def test_how_long_answers_take_is_known_for_a_while() -> None:
    now = 0.0
    loads = Loads(clock=lambda: now)
    loads.answered("a", 1.0)
    loads.answered("a", 2.0)
    first = loads.seconds("a")
    now = LATELY_SECONDS

    assert first == pytest.approx(1.2)
    assert (loads.seconds("a"), loads.seconds("b")) == (None, None)
