"""How many requests may be sent again, so that a fleet in trouble is not buried under repeats."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

SHARE = 0.2
AT_LEAST = 3
WINDOW_SECONDS = 60
"""Long enough that it counts the requests which an engine's death breaks off."""


@dataclass(slots=True)
class _Second:
    number: int
    requests: int = 0
    retries: int = 0


class RetryBudget:
    """A share of the traffic of the last minute, and never fewer than a few."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: deque[_Second] = deque()
        self._requests = 0
        self._retries = 0

    def request(self) -> None:
        """One more request came."""
        self._now().requests += 1
        self._requests += 1

    def retry(self) -> bool:
        """Whether one more may be sent again; if so, it is counted."""
        second = self._now()
        if self._retries >= max(AT_LEAST, SHARE * self._requests):
            return False
        second.retries += 1
        self._retries += 1
        return True

    def _now(self) -> _Second:
        number = int(self._clock())
        while self._seconds and self._seconds[0].number <= number - WINDOW_SECONDS:
            gone = self._seconds.popleft()
            self._requests -= gone.requests
            self._retries -= gone.retries
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        return self._seconds[-1]
