"""The leader's two rounds: look at every engine, and end the drains that are due."""

import asyncio
import logging
import zlib
from collections.abc import Mapping

from control_plane.domain.changes import Changes
from control_plane.domain.fleets import Fleets
from control_plane.domain.ports import Clock, Counts, Lease, LeaseLost, Load, Prober, Registry
from control_plane.domain.records import Record, Sighting
from control_plane.domain.states import Event, Life, step
from sage_contracts.errors import EngineNotFound, StoreUnavailable
from sage_contracts.management import EngineLoad

log = logging.getLogger(__name__)

SPREAD = 0.25
"""The part of an interval over which a round's probes begin, so that 500 engines are not asked in one instant."""

Key = tuple[str, float]
"""An engine's id and when it came: one that is registered anew begins without misses."""


class Watch:
    def __init__(
        self,
        *,
        registry: Registry,
        fleets: Fleets,
        changes: Changes,
        lease: Lease,
        load: Load,
        prober: Prober,
        counts: Counts,
        clock: Clock,
        interval_seconds: float,
        drain_grace_seconds: float,
    ) -> None:
        self._registry = registry
        self._fleets = fleets
        self._changes = changes
        self._lease = lease
        self._load = load
        self._prober = prober
        self._counts = counts
        self._clock = clock
        self._spread_seconds = interval_seconds * SPREAD
        self._grace_seconds = drain_grace_seconds
        self._seen: dict[Key, Sighting] = {}
        self._away = False

    async def lead(self) -> None:
        """Take or keep the lease. Who has just become leader counts no misses but those it sees itself."""
        led = self._lease.token is not None
        await self._lease.renew()
        leads = self._lease.token is not None
        self._counts.leading(leads=leads)
        if leads != led:
            log.info("leading" if leads else "following")
            self._seen.clear()

    async def look(self) -> None:
        """
        Probe every engine once, if this control-plane leads. A change is made as soon as its engine's probe is over.

        Misses are counted in probes made, not in time passed: after a pause every engine has three chances again.
        """
        try:
            snapshot = await self._fleets.fresh()
            self._away = False
            fence = self._lease.token
            if fence is None:
                return
            watched = [record for record in snapshot.records.values() if record.state != "STOPPED"]
            self._forget({_key(record) for record in watched}, snapshot.sightings, watched)
            await self._look_at(watched, fence)
            await self._registry.note({record.engine_id: self._seen[_key(record)] for record in watched})
        except StoreUnavailable as error:
            self._seen.clear()
            if not self._away:
                log.warning("engines not watched until the registry is back", extra={"error": error.message})
            self._away = True
        except LeaseLost:
            log.warning("lease lost in mid-round")

    async def settle(self) -> None:
        """Stop each draining engine that has nothing left to do, or no time left. Only the leader does."""
        fence = self._lease.token
        if fence is None:
            return
        try:
            draining = [
                record for record in (await self._fleets.fresh()).records.values() if record.state == "DRAINING"
            ]
            if not draining:
                return
            active = await self._load.active()
            for record in draining:
                if self._is_over(record, active.get(record.engine_id, 0)):
                    await self._changes.apply(record.engine_id, Event.EMPTIED, fence=fence)
                    log.info("engine drained", extra={"engine": record.engine_id})
        except (StoreUnavailable, EngineNotFound, LeaseLost) as error:
            log.debug("drains not settled", extra={"error": type(error).__name__})

    def _is_over(self, record: Record, active: int) -> bool:
        """A drain lasts at least the grace: gateways hear of it late, and so do we of what they do meanwhile."""
        now = self._clock()
        since = now if record.draining_since is None else record.draining_since
        until = now if record.drain_until is None else record.drain_until
        return now >= until or (active == 0 and now >= since + self._grace_seconds)

    def _forget(self, keys: set[Key], known: Mapping[str, Sighting], watched: list[Record]) -> None:
        kept = {key: sighting for key, sighting in self._seen.items() if key in keys}
        for record in watched:
            last = known.get(record.engine_id, Sighting()).last_answer
            kept.setdefault(_key(record), Sighting(last_answer=last))
        self._seen = kept

    async def _look_at(self, watched: list[Record], fence: str) -> None:
        probes = [asyncio.create_task(self._probe(record)) for record in watched]
        try:
            for probe in asyncio.as_completed(probes):
                record, answered, load = await probe
                await self._saw(record, answered=answered, load=load, fence=fence)
        finally:
            for task in probes:
                task.cancel()
            await asyncio.gather(*probes, return_exceptions=True)

    async def _probe(self, record: Record) -> tuple[Record, bool, EngineLoad | None]:
        """Of its load only an engine that answered before is asked: one that is away costs one connection a round."""
        await asyncio.sleep(self._spread_seconds * phase(record.engine_id))
        answers = self._prober.answers(record.host, record.port)
        if record.state in {"READY", "DRAINING"}:
            answered, load = await asyncio.gather(answers, self._prober.load(record.host, record.port))
        else:
            answered, load = await answers, None
        self._counts.probed(answered=answered)
        return record, answered, load if answered else None

    async def _saw(self, record: Record, *, answered: bool, load: EngineLoad | None, fence: str) -> None:
        now = self._clock()
        before = self._seen[_key(record)]
        event = Event.ANSWERED if answered else Event.MISSED
        misses = step(Life(record.state, before.misses), event).misses
        last_answer = now if answered else before.last_answer
        self._seen[_key(record)] = Sighting(last_answer=last_answer, misses=misses, load=load)
        if not answered and record.state == "STARTING" and record.ready_by is not None and now >= record.ready_by:
            event = Event.OVERDUE
        if step(Life(record.state, before.misses), event).state == record.state:
            return
        await self._registry.note({record.engine_id: self._seen[_key(record)]})
        fields = await self._told_at_first(record) if record.state == "STARTING" and answered else {}
        try:
            changed = await self._changes.apply(record.engine_id, event, misses=before.misses, fence=fence, **fields)
        except EngineNotFound:
            return
        log.info("engine changed", extra={"engine": record.engine_id, "was": record.state, "state": changed.state})

    async def _told_at_first(self, record: Record) -> dict[str, object]:
        """What only a running engine tells: read when it answers for the first time."""
        models = await self._prober.models(record.host, record.port)
        tokens = next((model.context_tokens for model in models if model.model_id == record.model_id), None)
        if tokens is None and len(models) == 1:
            tokens = models[0].context_tokens
        return {} if tokens is None else {"context_tokens": tokens}


def phase(engine_id: str) -> float:
    """Where in a round an engine is probed, from 0 to 1: always the same, so that its probes keep their interval."""
    return zlib.crc32(engine_id.encode()) / 2**32


def _key(record: Record) -> Key:
    return record.engine_id, record.created_at
