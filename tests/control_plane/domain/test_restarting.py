import pytest

from control_plane.domain.records import Launch
from control_plane.domain.restarting import Patience, after_crash

NOW = 1_000.0


@pytest.mark.parametrize(
    ("restarts", "lived", "left", "pause"),
    [
        (0, 1.0, 1, 1.0),
        (1, 1.0, 2, 2.0),
        (4, 1.0, 5, 16.0),
        (4, 60.0, 1, 1.0),
        (0, 3_600.0, 1, 1.0),
    ],
)
def test_the_pause_doubles_until_an_engine_has_lived_in_peace(
    restarts: int, lived: float, left: int, pause: float
) -> None:
    launch = Launch(preset="p", node="n", pid=7, started_at=NOW - lived, restarts=restarts)

    after = after_crash(launch, now=NOW, patience=Patience(max_restarts=5))

    assert (after.pid, after.restarts, after.restart_at - NOW, after.gave_up) == (None, left, pause, False)


def test_the_pause_has_an_upper_limit() -> None:
    launch = Launch(preset="p", node="n", restarts=50)

    assert after_crash(launch, now=NOW, patience=Patience(max_restarts=99)).restart_at == NOW + 30.0


@pytest.mark.parametrize(("restarts", "limit"), [(5, 5), (0, 0)])
def test_one_crash_too_many_is_given_up(restarts: int, limit: int) -> None:
    launch = Launch(preset="p", node="n", pid=7, started_at=NOW - 1, restarts=restarts)

    after = after_crash(launch, now=NOW, patience=Patience(max_restarts=limit))

    assert (after.gave_up, after.pid) == (True, None)
