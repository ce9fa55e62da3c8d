"""Who in this process waits for a branch to be free, so that the first of them is woken at once when it is."""

import asyncio
from collections.abc import Hashable
from contextlib import suppress


class Lines:
    """A waiter on another replica is not known here: whoever waits looks for itself now and then."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, dict[object, asyncio.Event]] = {}

    async def wait(self, place: Hashable, waiter: object, seconds: float) -> None:
        """
        Until woken, but no longer than that; the waiter keeps its rank until it leaves.

        Woken while it looked, it does not wait at all.
        """
        event = self._waiting.setdefault(place, {}).setdefault(waiter, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()

    def leave(self, place: Hashable, waiter: object) -> None:
        line = self._waiting.get(place, {})
        line.pop(waiter, None)
        if not line:
            self._waiting.pop(place, None)

    def wake(self, place: Hashable) -> None:
        for event in self._waiting.get(place, {}).values():
            event.set()
            return
