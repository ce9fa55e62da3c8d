"""When an engine that keeps failing is left alone for a while. Pure: the time is an argument."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

FAILURES_IN_A_ROW = 5
STEP_SECONDS = 10.0
LONGEST_SECONDS = 300.0
FORGIVEN_SECONDS = 300.0
"""After so long without an ejection the next one is short again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`failures` in a row, `times` it has been ejected, and until when it is out."""

    failures: int = 0
    times: int = 0
    until: float = 0.0


def failed(standing: Standing, now: float) -> Standing:
    """
    One more failure; the fifth in a row puts the engine out, each time for longer.

    What fails while it is out was sent before, and is no news.
    """
    if now < standing.until:
        return standing
    if standing.failures + 1 < FAILURES_IN_A_ROW:
        return replace(standing, failures=standing.failures + 1)
    times = 1 if now - standing.until > FORGIVEN_SECONDS else standing.times + 1
    return Standing(times=times, until=now + min(LONGEST_SECONDS, STEP_SECONDS * times))


def succeeded(standing: Standing) -> Standing:
    return replace(standing, failures=0)


def pardoned(standing: Standing, now: float) -> Standing:
    """Whoever watches it says that it is well again: it is back at once, and its record stays."""
    return replace(standing, failures=0, until=min(standing.until, now))


def out(standings: Mapping[str, Standing], engines: Collection[str], now: float) -> frozenset[str]:
    """Which of a model's engines are left alone. Never more than half: then all are used, for want of better."""
    ejected = frozenset(one for one in engines if (known := standings.get(one)) is not None and now < known.until)
    return ejected if 2 * len(ejected) <= len(engines) else frozenset()
