"""The registry in a dict: every promise of the one in Redis, within one process. For tests."""

import itertools
from collections.abc import Awaitable, Callable, Mapping

from msgspec import structs

from control_plane.domain.ports import LeaseLost
from control_plane.domain.records import Record, Sighting, Snapshot


class MemoryRegistry:
    """`leader` answers the token of whoever holds the lease now."""

    def __init__(self, tell: Callable[[int], Awaitable[None]], leader: Callable[[], str | None] = lambda: None) -> None:
        self._tell = tell
        self._leader = leader
        self._tags = itertools.count(1)
        self._version = 0
        self._records: dict[str, Record] = {}
        self._seen: dict[str, Sighting] = {}

    async def snapshot(self) -> Snapshot:
        return Snapshot(self._version, dict(sorted(self._records.items())), dict(self._seen))

    async def swap(self, *, old: Record | None, new: Record | None, fence: str | None = None) -> Record | None:
        known = old or new
        if known is None:
            return None
        if fence is not None and self._leader() != fence:
            raise LeaseLost
        kept = self._records.get(known.engine_id)
        if new is None and kept is None:
            return old
        if (kept.tag if kept else None) != (old.tag if old else None):
            return None
        told = None if new is None else structs.replace(new, tag=str(next(self._tags)))
        if told is None:
            del self._records[known.engine_id]
            self._seen.pop(known.engine_id, None)
        else:
            self._records[known.engine_id] = told
        self._version += 1
        await self._tell(self._version)
        return told or old

    async def note(self, sightings: Mapping[str, Sighting]) -> None:
        self._seen.update(sightings)
