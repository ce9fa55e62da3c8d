"""Engines of lists that others keep: those that appear on one are registered, those that vanish from it are drained."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from control_plane.domain.changes import Changes, stepped
from control_plane.domain.discoveries import Address, Admissions, Ailing
from control_plane.domain.ports import Clock, Registry, Roster
from control_plane.domain.records import Record, Snapshot
from control_plane.domain.states import Event
from sage_contracts.errors import EngineNotFound, StoreUnavailable, Unavailable

log = logging.getLogger(__name__)

ROUNDS_TO_VANISH = 3
"""A list may miss an entry once: DNS servers answer in turns, and a container is away while it restarts."""
ROUNDS_TO_RETRY = 5


class Rosters:
    """
    A list is the truth about the engines that came by it: what vanished from it finishes its work and is forgotten, and
    is brought back when it is listed again meanwhile. A list that cannot be read, or is empty, changes nothing: that is
    more often the list's trouble than the end of every engine on it, and probes tell of those that really ended.
    """

    def __init__(
        self,
        rosters: Sequence[Roster],
        *,
        registry: Registry,
        changes: Changes,
        admissions: Admissions,
        clock: Clock,
        drain_seconds: float,
    ) -> None:
        self._rosters = tuple(rosters)
        self._registry = registry
        self._changes = changes
        self._admissions = admissions
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._admitted: set[Address] = set()
        self._ailing = Ailing()
        self._waits: Counter[Address] = Counter()
        self._missed: Counter[str] = Counter()
        self._version = 0

    async def look(self) -> None:
        """One round over all lists."""
        try:
            snapshot = await self._registry.snapshot()
            if snapshot.version < self._version:  # the registry has lost its data
                self._admitted.clear()
            self._version = snapshot.version
            self._admitted -= self._ailing.removed(snapshot.records)
            await self._forget_unlisted(snapshot.records.values())
            for roster in self._rosters:
                await self._look_at(roster, snapshot)
        except (StoreUnavailable, EngineNotFound) as error:
            log.debug("lists of engines not read", extra={"error": error.message})

    async def _look_at(self, roster: Roster, snapshot: Snapshot) -> None:
        try:
            listed = await roster.listed()
        except Unavailable as error:
            log.debug("list of engines not read", extra={"list": roster.name, "error": error.message})
            return
        if not listed:
            return
        for address, origin in sorted(listed.items()):
            await self._admit(address, roster, origin)
        for record in snapshot.records.values():
            if _is_of(record, roster):
                await self._follow(record, is_listed=(record.host, record.port) in listed)

    async def _admit(self, address: Address, roster: Roster, origin: str) -> None:
        if address in self._admitted:
            return
        if self._waits[address] > 0:
            self._waits[address] -= 1
        elif await self._admissions.admit(address, roster.source, origin):
            self._admitted.add(address)
            del self._waits[address]
        else:
            self._waits[address] = ROUNDS_TO_RETRY

    async def _follow(self, record: Record, *, is_listed: bool) -> None:
        if is_listed:
            del self._missed[record.engine_id]
            if record.vanished and record.state == "STOPPED":  # it had finished before it was listed again
                await self._registry.swap(old=record, new=None)
                self._admitted.discard((record.host, record.port))
            elif record.vanished:
                await self._changes.apply(record.engine_id, Event.RESUME, vanished=False)
            return
        self._admitted.discard((record.host, record.port))
        self._missed[record.engine_id] += 1
        if self._missed[record.engine_id] < ROUNDS_TO_VANISH:
            return
        if record.state == "STOPPED":
            await self._registry.swap(old=record, new=None)
            del self._missed[record.engine_id]
        elif record.state != "DRAINING":
            await self._changes.change(record.engine_id, self._drained)
            log.info("engine vanished", extra={"engine": record.engine_id, "origin": record.origin})

    def _drained(self, record: Record) -> Record:
        now = self._clock()
        fields = {"drain_until": now + self._drain_seconds, "vanished": True}
        return stepped(record, Event.DRAIN, now=now, fields=fields)

    async def _forget_unlisted(self, records: Iterable[Record]) -> None:
        """Engines of a list that the settings no longer name."""
        for record in records:
            is_ours = record.source in {"dns", "docker"}
            if is_ours and not any(_is_of(record, roster) for roster in self._rosters):
                await self._registry.swap(old=record, new=None)


def _is_of(record: Record, roster: Roster) -> bool:
    """An origin is the list's name, or that and an entry's: `vllm:80` is not the list of `vllm:8000`."""
    origin = record.origin or ""
    return record.source == roster.source and (origin == roster.name or origin.startswith(f"{roster.name} "))
