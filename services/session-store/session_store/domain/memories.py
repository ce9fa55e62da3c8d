"""What the engine is told of a conversation, and how the memory stands."""

from sage_contracts import sessions as wire
from session_store.domain.keys import key_of
from session_store.domain.ports import Memory, Tally
from session_store.domain.sessions import Sessions

SHOWN_AT_MOST = 1_000
"""Sessions told one by one in the statistics: the newest."""


class Memories:
    def __init__(self, memory: Memory, sessions: Sessions, tally: Tally) -> None:
        self._memory = memory
        self._sessions = sessions
        self._tally = tally

    async def context(self, owner: str, session_id: str, asked: wire.ContextRequest) -> wire.SessionContext:
        recalled = await self._memory.recall(key_of(owner, session_id), asked.budget_tokens)
        self._tally.context(kept=len(recalled.messages), dropped=recalled.dropped)
        return wire.SessionContext(
            session_id=session_id,
            messages=list(recalled.messages),
            dropped=recalled.dropped,
            tokens=recalled.tokens,
        )

    def config(self) -> wire.MemoryConfig:
        return wire.MemoryConfig(
            backend=self._memory.backend, max_dialogs=self._memory.max_dialogs, config=self._memory.settings()
        )

    async def stats(self, owner: str) -> wire.MemoryStats:
        totals = await self._sessions.stats(owner)
        newest = await self._sessions.newest(owner, SHOWN_AT_MOST)
        return wire.MemoryStats(
            total_sessions=totals.total_sessions,
            sessions={record.session_id: self._memory.use(record.dialog_count) for record in newest},
        )
