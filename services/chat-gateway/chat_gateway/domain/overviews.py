"""How the gateway and what it needs are, as `/health` tells it."""

import asyncio
from typing import Protocol

from chat_gateway.domain.fleet import Fleet
from chat_gateway.domain.resolving import Routes
from sage_contracts.service import Health, ServiceHealth, SessionTotals


class Neighbours(Protocol):
    """The other services. Neither raises: a service that does not answer is told as such."""

    async def health(self) -> dict[str, ServiceHealth]: ...

    async def totals(self) -> SessionTotals: ...


class Overview:
    def __init__(self, fleet: Fleet, routes: Routes, neighbours: Neighbours) -> None:
        self._fleet = fleet
        self._routes = routes
        self._neighbours = neighbours

    async def health(self) -> Health:
        """`unavailable` only when no chat at all can be answered."""
        told, totals = await asyncio.gather(self._neighbours.health(), self._neighbours.totals())
        services = {**told, "engines": self.engines()}
        if not self._routes.can_chat():
            return Health(status="unavailable", sessions=totals, services=services)
        all_well = all(service.status == "healthy" for service in services.values())
        return Health(status="healthy" if all_well else "degraded", sessions=totals, services=services)

    def engines(self) -> ServiceHealth:
        """The fleet as this gateway sees it."""
        if not self._fleet.ready_models("llm"):
            return ServiceHealth(
                status="degraded" if self._routes.can_chat() else "unavailable",
                detail="the upstream answers: no engine is READY" if self._routes.can_chat() else "no engine is READY",
            )
        if self._fleet.fetch_failed:
            return ServiceHealth(status="degraded", detail="control-plane is away: the fleet is the last one heard of")
        return ServiceHealth(status="healthy", detail=f"{sum(1 for _ in self._fleet.ready_engines())} READY")
