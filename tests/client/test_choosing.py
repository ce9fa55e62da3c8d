"""Which backends a client may ask, and in which order."""

import pytest

from sage_client import choosing
from sage_client.failures import NoBackendAvailable
from sage_contracts.management import Backends
from tests.client.fleet import told, view

A, B, C = "http://h:1", "http://h:2", "http://h:3"


def names(
    backends: Backends,
    *,
    model: str | None = "tiny",
    running: dict[str, int] | None = None,
    failed: tuple[str, ...] = (),
) -> list[str]:
    found = choosing.ordered(backends, kind="llm", model=model, running=running or {}, failed=failed)
    return [one.instance_id for one in found]


def test_the_one_with_the_fewest_requests_comes_first() -> None:
    backends = told([view("a", A, active=2), view("b", B, active=1), view("c", C)])

    assert names(backends) == ["c", "b", "a"]
    assert names(backends, running={C: 5}) == ["b", "a", "c"]


def test_what_failed_lately_comes_last() -> None:
    assert names(told([view("a", A), view("b", B, active=3)]), failed=(A,)) == ["b", "a"]


def test_only_engines_of_the_model_that_can_take_a_request_are_asked() -> None:
    backends = told(
        [view("a", A, model="other"), view("b", B, healthy=False), view("c", C), view("d", A, available=False)]
    )

    assert names(backends) == ["c"]
    assert names(backends, model=None) == ["a", "c"]


@pytest.mark.parametrize(
    ("backends", "reason"),
    [
        (told([]), "no engine is registered: run `sage llm engine start"),
        (told([view("a", model="big"), view("b", model="other")]), "no engine serves 'tiny'; there are: big, other"),
        (told([view("a", healthy=False), view("b", available=False)]), "a is not ready, b is full"),
    ],
)
def test_with_none_it_says_why(backends: Backends, reason: str) -> None:
    with pytest.raises(NoBackendAvailable) as raised:
        names(backends)

    assert reason in raised.value.reason
