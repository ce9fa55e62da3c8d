"""An engine's way out: drained, brought back, stopped, forgotten."""

from control_plane.domain.changes import Changes, found, stepped
from control_plane.domain.launches import Launches
from control_plane.domain.ports import Clock, Load, Prober, Registry
from control_plane.domain.records import Record
from control_plane.domain.states import Event
from sage_contracts import management as wire
from sage_contracts import names
from sage_contracts.errors import Conflict


class Engines:
    """
    What can be looked up again stays: an engine that was drained, or started here, is listed as STOPPED until it is
    pruned, registered or started again. One that was only registered and is stopped at once is gone.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        changes: Changes,
        launches: Launches,
        load: Load,
        prober: Prober,
        clock: Clock,
        drain_seconds: float,
    ) -> None:
        self._registry = registry
        self._changes = changes
        self._launches = launches
        self._load = load
        self._prober = prober
        self._clock = clock
        self._drain_seconds = drain_seconds

    async def drain(self, engine_id: str, *, deadline_seconds: float | None = None) -> Record:
        """No new work from now on. Again: nothing, unless a deadline is given, which then counts from now."""
        names.engine_id(engine_id)

        def decide(record: Record) -> Record:
            if record.state == "DRAINING" and deadline_seconds is None:
                return record
            now = self._clock()
            seconds = self._drain_seconds if deadline_seconds is None else deadline_seconds
            return stepped(record, Event.DRAIN, now=now, fields={"drain_until": now + seconds})

        return await self._changes.change(engine_id, decide)

    async def resume(self, engine_id: str) -> Record:
        """Back to work as soon as it answers, which is tried at once. Raises Conflict when it is STOPPED."""
        names.engine_id(engine_id)
        record = await self._changes.apply(engine_id, Event.RESUME)
        if record.state == "STOPPED":
            raise Conflict(f"engine {engine_id!r} is STOPPED: register or start it again", param="engine_id")
        if record.state == "STARTING" and await self._prober.answers(record.host, record.port):
            return await self._changes.apply(engine_id, Event.ANSWERED)
        return record

    async def stop(self, engine_id: str, *, drain: bool = False, deadline_seconds: float | None = None) -> wire.Stopped:
        """Drained first, which takes its time, or at once: then whatever it was doing is cut off."""
        names.engine_id(engine_id)
        if drain:
            record = await self.drain(engine_id, deadline_seconds=deadline_seconds)
            stopped = record.state == "STOPPED"
            return wire.Stopped(engine_id=engine_id, stopped=stopped, drained=stopped, status=record.state)
        active = await self._load.active()
        record = await self._changes.change(
            engine_id, lambda record: None if record.launch is None else self._stopped(record)
        )
        await self._launches.end(record)
        return wire.Stopped(engine_id=engine_id, stopped=True, drained=active.get(engine_id, 0) == 0, status="STOPPED")

    async def prune(self) -> wire.Pruned:
        """Forget every engine that is STOPPED or in ERROR; a process that still runs behind one is ended."""
        snapshot = await self._registry.snapshot()
        pruned = 0
        for record in snapshot.records.values():
            if record.state in {"STOPPED", "ERROR"} and await self._forget(record):
                pruned += 1
        return wire.Pruned(pruned_count=pruned)

    async def _forget(self, record: Record) -> bool:
        if record.launch is None:
            return await self._registry.swap(old=record, new=None) is not None
        await self._changes.change(record.engine_id, self._stopped)
        if not await self._launches.end(record):
            return False
        await self._launches.forget(record)
        kept = found(await self._registry.snapshot(), record.engine_id)
        return await self._registry.swap(old=kept, new=None) is not None

    def _stopped(self, record: Record) -> Record:
        return stepped(record, Event.STOP, now=self._clock())
