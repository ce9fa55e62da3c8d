"""How the memories of an owner's sessions stand, for people to read."""

from sage_contracts import sessions as wire
from session_store.domain.memories import Memories
from session_store.domain.sessions import Sessions

SHOWN_AT_MOST = 1_000
"""Sessions told one by one in the statistics: the newest."""


class Remembering:
    def __init__(self, memories: Memories, sessions: Sessions) -> None:
        self._memories = memories
        self._sessions = sessions

    def config(self) -> wire.MemoryConfig:
        return wire.MemoryConfig(
            backend=self._memories.usual.backend,
            max_dialogs=self._memories.usual.max_dialogs,
            config=self._memories.usual.settings(),
        )

    async def stats(self, owner: str) -> wire.MemoryStats:
        totals = await self._sessions.stats(owner)
        newest = await self._sessions.newest(owner, SHOWN_AT_MOST)
        return wire.MemoryStats(
            total_sessions=totals.total_sessions,
            sessions={record.session_id: self._memories.usual.use(record.dialog_count) for record in newest},
        )
