"""The backends a client knows: read from the gateway at first need, and again every so often in the background."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from sage_chassis.client import ServiceClient
from sage_client import choosing
from sage_client.failures import NoBackendAvailable
from sage_contracts import management
from sage_contracts.call import Empty
from sage_contracts.errors import SageError
from sage_contracts.fleet import EngineKind
from sage_contracts.management import Backends, BackendView

log = logging.getLogger(__name__)

SHORTEST_GAP_SECONDS = 1.0


class KnownBackends:
    """`gateways` are asked in turn. While none answers, what was known stays known."""

    def __init__(self, gateways: Sequence[ServiceClient], *, refresh_seconds: float) -> None:
        self._gateways = gateways
        self._refresh_seconds = refresh_seconds
        self._known: Backends | None = None
        self._asked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.running: Counter[str] = Counter()
        self.failed: set[str] = set()
        """Addresses that failed since the last refresh."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._refreshing())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def all(self) -> Backends:
        """Those known; asked for when there are none yet. Raises NoBackendAvailable when no gateway tells them."""
        return self._known if self._known is not None else await self.refresh()

    async def refresh(self) -> Backends:
        """Ask now. Raises NoBackendAvailable when no gateway answers."""
        async with self._one_at_a_time:
            missed: list[str] = []
            self._asked_at = asyncio.get_running_loop().time()
            for gateway in self._gateways:
                try:
                    self._known = await gateway.call(management.BACKENDS, Empty())
                except SageError as error:
                    missed.append(error.message)
                    continue
                self.failed.clear()
                return self._known
            raise NoBackendAvailable("no gateway tells which engines there are", tried=missed)

    async def candidates(self, kind: EngineKind, model: str | None) -> Sequence[BackendView]:
        """Best first. None fitting, the gateway is asked once more before NoBackendAvailable is raised."""
        try:
            return self._ordered(await self.all(), kind, model)
        except NoBackendAvailable:
            if asyncio.get_running_loop().time() - self._asked_at < SHORTEST_GAP_SECONDS:
                raise
        return self._ordered(await self.refresh(), kind, model)

    def _ordered(self, known: Backends, kind: EngineKind, model: str | None) -> Sequence[BackendView]:
        return choosing.ordered(known, kind=kind, model=model, running=self.running, failed=self.failed)

    async def _refreshing(self) -> None:
        while True:
            try:
                await self.refresh()
            except NoBackendAvailable as error:
                log.warning("backends not refreshed", extra={"reason": str(error)})
            await asyncio.sleep(self._refresh_seconds)
