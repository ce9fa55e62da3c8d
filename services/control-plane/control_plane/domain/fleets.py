"""The fleet as gateways fetch it: always the newest snapshot that could be had."""

import logging
from collections import Counter

from control_plane.domain import addressing
from control_plane.domain.ports import Counts, Registry
from control_plane.domain.records import Record, Snapshot
from sage_contracts.errors import StoreUnavailable
from sage_contracts.fleet import Fleet, FleetEngine, State

log = logging.getLogger(__name__)

STATES: tuple[State, ...] = ("STARTING", "READY", "DRAINING", "STOPPED", "ERROR")


LONGEST_ALIAS = 256
HEAVIEST = 1000.0


class Fleets:
    def __init__(self, registry: Registry, counts: Counts) -> None:
        self._registry = registry
        self._counts = counts
        self._last: Snapshot | None = None

    async def fresh(self) -> Snapshot:
        """The snapshot as the registry has it now, remembered; raises StoreUnavailable."""
        self._last = await self._registry.snapshot()
        found = Counter(record.state for record in self._last.records.values())
        self._counts.fleet({state: found[state] for state in STATES})
        return self._last

    async def read(self) -> Fleet:
        """The newest snapshot. The last one known while the registry is away; StoreUnavailable if there is none."""
        try:
            snapshot = await self.fresh()
        except StoreUnavailable as error:
            if self._last is None:
                raise
            log.warning("fleet served from memory", extra={"version": self._last.version, "error": error.message})
            snapshot = self._last
        return Fleet(version=snapshot.version, engines=[_engine(record) for record in snapshot.records.values()])


def _engine(record: Record) -> FleetEngine:
    return FleetEngine(
        engine_id=record.engine_id,
        model_id=record.model_id,
        base_url=addressing.base_url(record.host, record.port),
        state=record.state,
        engine_kind=record.engine_kind,
        max_concurrent_requests=record.max_concurrent_requests,
        context_tokens=record.context_tokens,
        created=int(record.created_at),
        aliases=_aliases(record.metadata.get("aliases")),
        weight=_weight(record.metadata.get("weight")),
    )


def _aliases(told: object) -> tuple[str, ...]:
    """Metadata is free; what is no list of names is no aliases."""
    names = told if isinstance(told, list) else []
    return tuple(name for name in names if isinstance(name, str) and 0 < len(name) <= LONGEST_ALIAS)


def _weight(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        return 1.0
    return float(told) if 0 < told <= HEAVIEST else 1.0
