"""Change one record of the registry: decided on what is there now, and decided again when another change came first."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from control_plane.domain.ports import Clock, Registry
from control_plane.domain.records import Record, Snapshot
from control_plane.domain.states import Event, Life, step
from sage_contracts.errors import EngineNotFound, StoreUnavailable

ATTEMPTS = 20

Decide = Callable[[Record], Record | None]
"""The record as it should be; the same object for "leave it", None for "remove it"."""


class Changes:
    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def change(self, engine_id: str, decide: Decide, *, fence: str | None = None) -> Record:
        """The record after `decide` has been applied (before, if it was removed). Raises EngineNotFound."""
        for _ in range(ATTEMPTS):
            old = found(await self._registry.snapshot(), engine_id)
            new = decide(old)
            if new is old:
                return old
            kept = await self._registry.swap(old=old, new=new, fence=fence)
            if kept is not None:
                return kept
        raise StoreUnavailable(f"engine {engine_id!r} changes too fast", retry_after=1)

    async def apply(
        self, engine_id: str, event: Event, *, misses: int = 0, fence: str | None = None, **fields: Any
    ) -> Record:
        """`step` on the kept record; `fields` change with it, also where the state stays."""

        def decide(record: Record) -> Record:
            return stepped(record, event, now=self._clock(), misses=misses, fields=fields)

        return await self.change(engine_id, decide, fence=fence)


def found(snapshot: Snapshot, engine_id: str) -> Record:
    record = snapshot.records.get(engine_id)
    if record is None:
        raise EngineNotFound(f"engine {engine_id!r} is not registered", param="engine_id")
    return record


def stepped(
    record: Record, event: Event, *, now: float, misses: int = 0, fields: Mapping[str, Any] | None = None
) -> Record:
    """`record` after `event`; the same object when nothing changed. Nothing of a STOPPED record changes."""
    if record.state == "STOPPED":
        return record
    life = step(Life(record.state, misses), event)
    told: dict[str, Any] = {"state": life.state, **(fields or {})}
    if life.state != record.state:
        draining = life.state == "DRAINING"
        told["draining_since"] = now if draining else None
        told["drain_until"] = told.get("drain_until") if draining else None
        if life.state == "READY":
            told.setdefault("ready_by", None)
    changed = {name: value for name, value in told.items() if getattr(record, name) != value}
    return structs.replace(record, **changed) if changed else record
