"""Notes in this process: for tests, as `memory_sessions`."""

from collections.abc import Sequence

from session_store.adapters.memory_log import Log
from session_store.adapters.memory_sessions import MemorySessions
from session_store.domain.memory.notes import Note, Shelf
from session_store.domain.memory.shelves import NOTES_AT_MOST, Stock
from session_store.domain.records import SessionKey

SHELVES: tuple[Shelf, ...] = ("facts", "relations", "summaries", "memory")

Notes = dict[Shelf, dict[str, Note]]


class MemoryShelves:
    """Implements Shelves over the same sessions."""

    def __init__(self, sessions: MemorySessions) -> None:
        self._sessions = sessions
        self._kept: dict[SessionKey, tuple[Log, int, Notes]] = {}

    async def add(self, key: SessionKey, shelf: Shelf, notes: Sequence[Note], *, created_us: int | None = None) -> bool:
        log, kept = self._sessions.found(key), self._of(key)
        if log is None or kept is None or created_us not in {None, log.record.created_us}:
            return False
        kept[shelf] |= {note.field: note for note in notes if note.position is None or note.position >= log.base}
        oldest = sorted(kept[shelf].values(), key=lambda note: note.order)
        for note in oldest[: max(0, len(oldest) - NOTES_AT_MOST)]:
            del kept[shelf][note.field]
        return True

    async def all(self, key: SessionKey, shelf: Shelf) -> list[Note]:
        kept = self._of(key)
        return [] if kept is None else list(kept[shelf].values())

    async def remove(self, key: SessionKey, shelf: Shelf, item_id: str) -> int:
        fields = [note.field for note in await self.all(key, shelf) if note.id == item_id]
        for field in fields:
            del self._kept[key][2][shelf][field]
        return len(fields)

    async def stocks(self, keys: Sequence[SessionKey]) -> list[Stock]:
        return [await self._stock(key) for key in keys]

    async def _stock(self, key: SessionKey) -> Stock:
        log = self._sessions.found(key)
        counts: dict[Shelf, int] = {shelf: len(await self.all(key, shelf)) for shelf in SHELVES}
        return Stock(None if log is None else log.choice, counts)

    def _of(self, key: SessionKey) -> Notes | None:
        """A session that was cleared, or begun again, has none yet."""
        log = self._sessions.found(key)
        if log is None:
            return None
        kept = self._kept.get(key)
        if kept is None or kept[0] is not log or kept[1] != log.base:
            kept = self._kept[key] = (log, log.base, {shelf: {} for shelf in SHELVES})
        return kept[2]
