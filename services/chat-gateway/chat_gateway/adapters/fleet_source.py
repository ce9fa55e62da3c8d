"""Keep the fleet up to date: fetch it when a hint says so, and now and then in any case."""

import asyncio
import logging
from contextlib import aclosing

from chat_gateway.domain.fleet import Fleet
from sage_chassis.bus import Bus
from sage_chassis.client import ServiceClient
from sage_contracts import fleet as wire
from sage_contracts.call import Empty
from sage_contracts.errors import SageError
from sage_contracts.names import FLEET_CHANNEL

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
"""Between fetches until one has succeeded, and while the last one failed."""


class FleetSource:
    """Run `listen` and `follow` beside each other."""

    def __init__(self, fleet: Fleet, control_plane: ServiceClient, bus: Bus, *, poll_seconds: float) -> None:
        self._fleet = fleet
        self._control_plane = control_plane
        self._bus = bus
        self._poll_seconds = poll_seconds
        self._hinted = asyncio.Event()

    async def listen(self) -> None:
        async with aclosing(self._bus.listen(FLEET_CHANNEL)) as hints:
            async for _ in hints:
                self._hinted.set()

    async def follow(self) -> None:
        while True:
            self._hinted.clear()
            await self.fetch()
            wait = FIRST_SECONDS if self._fleet.fetch_failed else self._poll_seconds
            try:
                async with asyncio.timeout(wait):
                    await self._hinted.wait()
            except TimeoutError:
                continue

    async def fetch(self) -> None:
        """The last good snapshot stays when there is no other."""
        try:
            snapshot = await self._control_plane.call(wire.FLEET, Empty())
        except SageError as error:
            if not self._fleet.fetch_failed:
                log.warning("fleet not fetched", extra={"error": error.code})
            self._fleet.fetch_failed = True
            return
        if snapshot.version != self._fleet.version:
            log.info("fleet changed", extra={"version": snapshot.version, "engines": len(snapshot.engines)})
        self._fleet.replace(snapshot)
