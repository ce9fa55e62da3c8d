"""Ask the other services how they are."""

import asyncio
from collections.abc import Mapping
from typing import Literal

from sage_chassis.client import ServiceClient
from sage_contracts import service as wire
from sage_contracts import sessions
from sage_contracts.call import Empty
from sage_contracts.errors import SageError
from sage_contracts.service import ReadinessStatus, ServiceHealth, SessionTotals

ASK_SECONDS = 2.0


class ServiceNeighbours:
    """By name, as they are told; `store` is the one that knows the sessions."""

    def __init__(self, services: Mapping[str, ServiceClient], store: ServiceClient) -> None:
        self._services = services
        self._store = store

    async def health(self) -> dict[str, ServiceHealth]:
        told = await asyncio.gather(*(_asked(client) for client in self._services.values()))
        return dict(zip(self._services, told, strict=True))

    async def totals(self) -> SessionTotals:
        try:
            stats = await self._store.call(sessions.STATS, Empty(), timeout=ASK_SECONDS)
        except SageError:
            return SessionTotals(total_sessions=0, total_messages=0)
        return SessionTotals(total_sessions=stats.total_sessions, total_messages=stats.total_messages)


async def _asked(client: ServiceClient) -> ServiceHealth:
    try:
        readiness = await client.call(wire.READYZ, Empty(), timeout=ASK_SECONDS)
    except SageError as error:
        return ServiceHealth(status="unavailable", detail=error.message)
    failed = [f"{name}: {check.detail}" for name, check in readiness.checks.items() if not check.ok]
    return ServiceHealth(status=_SPOKEN[readiness.status], detail="; ".join(failed) or None)


_SPOKEN: dict[ReadinessStatus, Literal["healthy", "degraded", "unavailable"]] = {
    "ready": "healthy",
    "degraded": "degraded",
    "not_ready": "unavailable",
}
