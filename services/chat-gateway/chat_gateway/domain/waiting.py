"""One line a model, for when every engine of it is at its limit: who came first is served first."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sage_contracts.fleet import EngineKind

T = TypeVar("T")
Key = tuple[EngineKind, str]


class LineFull(Exception):
    """So many wait already that one more would wait for nothing."""


class WaitedTooLong(Exception):
    """The time to wait is over."""


class Lines:
    def __init__(self, *, longest: int, seconds: float) -> None:
        self._longest = longest
        self._seconds = seconds
        self._lines: dict[Key, dict[object, asyncio.Event]] = {}

    def length(self, key: Key) -> int:
        return len(self._lines.get(key, ()))

    def wake(self) -> None:
        """An engine may have become free: whoever is first in each line looks."""
        for line in self._lines.values():
            next(iter(line.values())).set()

    async def served(self, key: Key, attempt: Callable[[], T | None], *, is_choosy: bool = False) -> T:
        """
        What `attempt` gives, as soon as it gives something and all who came before have been served.

        `is_choosy` says that what is free may be nothing for this one, but for the next. Raises LineFull or
        WaitedTooLong. Cancelled, it leaves the line at once.
        """
        if self.length(key) >= self._longest:
            raise LineFull
        line = self._lines.setdefault(key, {})
        place, woken = object(), asyncio.Event()
        line[place] = woken
        if len(line) == 1:
            woken.set()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    await woken.wait()
                    woken.clear()
                    if (got := attempt()) is not None:
                        self._lines[key] = self._lines.pop(key)  # the other lines' turn: they may want the same engine
                        woken.set()  # what is free may be enough for the next, too
                        return got
                    if is_choosy:
                        _wake_next(line, place)
        except TimeoutError as error:
            raise WaitedTooLong from error
        finally:
            if next(iter(line)) is place or woken.is_set():
                _wake_next(line, place)
            del line[place]
            if not line:
                del self._lines[key]


def _wake_next(line: dict[object, asyncio.Event], place: object) -> None:
    places = iter(line)
    for one in places:
        if one is place:
            break
    if (following := next(places, None)) is not None:
        line[following].set()
