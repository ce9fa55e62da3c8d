"""How many requests each engine is answering, and how long that takes."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from sage_contracts.fleet import FleetEngine

_NEWEST = 0.2
"""What the newest answer weighs in the measured time."""
_UNKNOWN_SECONDS = 1.0
_LONGEST_SECONDS = 600.0
LATELY_SECONDS = 10.0
"""For so long it is known how long an engine's answers take: then it is tried again, for it may have recovered."""


class Loads:
    """This gateway's own requests in flight, and what the other gateways have told of theirs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_flight: Counter[str] = Counter()
        self._others: Mapping[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._measured_at: dict[str, float] = {}
        self._when_free: list[Callable[[], None]] = []

    def when_free(self, told: Callable[[], None]) -> None:
        """Call `told` whenever an engine may have become free."""
        self._when_free.append(told)

    def take(self, engine_id: str) -> Callable[[], None]:
        """Count one more request in flight, until the returned function is called; calling it again does nothing."""
        self._in_flight[engine_id] += 1
        taken = True

        def free() -> None:
            nonlocal taken
            if taken:
                taken = False
                self._in_flight[engine_id] -= 1
                if not self._in_flight[engine_id]:
                    del self._in_flight[engine_id]
                self._told()

        return free

    def answered(self, engine_id: str, seconds: float) -> None:
        """A good answer took so long; what fails is quick, and tells nothing."""
        known = self._seconds.get(engine_id, seconds)
        self._seconds[engine_id] = known + _NEWEST * (seconds - known)
        self._measured_at[engine_id] = self._clock()

    def seconds(self, engine_id: str) -> float | None:
        """How long its answers took lately; None where nothing is known of late."""
        at = self._measured_at.get(engine_id)
        return self._seconds[engine_id] if at is not None and self._clock() - at < LATELY_SECONDS else None

    def own(self) -> dict[str, int]:
        """This gateway's requests in flight by engine; engines without any are left out."""
        return dict(self._in_flight)

    def of(self, engine_id: str) -> int:
        """Requests in flight from all gateways."""
        return self._in_flight[engine_id] + self._others.get(engine_id, 0)

    def heard(self, others: Mapping[str, int]) -> None:
        """What the other gateways have in flight now, by engine."""
        self._others = others
        self._told()

    def wait_seconds(self, engines: Iterable[FleetEngine], waiting: int) -> float:
        """How long it takes until one who comes after `waiting` others is served."""
        found = list(engines)
        places = sum(engine.max_concurrent_requests for engine in found)
        times = [self._seconds[one.engine_id] for one in found if one.engine_id in self._seconds]
        return wait_seconds(waiting, places, sum(times) / len(times) if times else _UNKNOWN_SECONDS)

    def _told(self) -> None:
        for told in self._when_free:
            told()


def wait_seconds(waiting: int, places: int, service_seconds: float) -> float:
    """With `places` served at a time and so long each, when the turn comes of one who comes after `waiting` others."""
    return min(_LONGEST_SECONDS, max(1.0, (waiting + 1) * service_seconds / max(1, places)))
