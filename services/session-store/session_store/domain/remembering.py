"""What is remembered of an owner's sessions, for people to read, add to and take from."""

from sage_contracts import memory as wire
from sage_contracts.errors import InvalidRequest, MemoryItemNotFound
from sage_contracts.names import is_id
from sage_contracts.sessions import Backend
from session_store.domain.branches import Reading
from session_store.domain.keys import key_of, missing
from session_store.domain.memories import Memories
from session_store.domain.memory.notes import Shelf
from session_store.domain.memory.shelves import Shelves, Stock
from session_store.domain.ports import StoredSessions
from session_store.domain.records import Record, SessionKey
from session_store.domain.sessions import Sessions

SHOWN_AT_MOST = 1_000
"""Sessions told one by one in the statistics: the newest."""

_SHELF_OF: dict[Backend, Shelf] = {"vdb": "memory", "kv": "facts", "graph": "relations"}


class Remembering:
    def __init__(self, memories: Memories, sessions: Sessions, stored: StoredSessions, shelves: Shelves) -> None:
        self._memories = memories
        self._sessions = sessions
        self._stored = stored
        self._shelves = shelves

    async def items(self, owner: str, session_id: str) -> wire.Remembered:
        """Of the head branch. SessionNotFound."""
        key, reading = await self._read(owner, session_id)
        memory = self._memories.of(reading.choice)
        ranges = () if reading.state is None else reading.state.ranges
        told = wire.Remembered(session_id=session_id, backend=memory.backend, items=await memory.items(key, ranges))
        notice = memory.notice()
        if notice is None:
            return told
        return wire.Remembered(session_id=session_id, backend=told.backend, items=told.items, notice=notice)

    async def put(self, owner: str, session_id: str, new: wire.NewFacts) -> wire.FactsStored:
        """SessionNotFound, and InvalidRequest where the session's memory keeps no facts."""
        if any(not (fact.key.strip() and fact.value.strip() and fact.subject.strip()) for fact in new.facts):
            raise InvalidRequest("a fact's subject, key and value must not be blank", param="facts")
        key, reading = await self._read(owner, session_id)
        stored = await self._memories.of(reading.choice).put(key, new.facts)
        return wire.FactsStored(session_id=session_id, facts=stored)

    async def forget(self, owner: str, session_id: str, item_id: str) -> wire.Forgotten:
        """On every branch. SessionNotFound, MemoryItemNotFound."""
        key, reading = await self._read(owner, session_id)
        if not is_id(item_id) or not await self._memories.of(reading.choice).forget(key, item_id):
            raise MemoryItemNotFound(f"nothing called {item_id!r} is remembered of this session", param="item_id")
        return wire.Forgotten(session_id=session_id, item_id=item_id)

    def config(self) -> wire.MemoryConfig:
        usual = self._memories.usual
        return wire.MemoryConfig(backend=usual.backend, max_dialogs=usual.max_dialogs, config=usual.settings())

    async def stats(self, owner: str) -> wire.MemoryStats:
        totals = await self._sessions.stats(owner)
        newest = await self._sessions.newest(owner, SHOWN_AT_MOST)
        stocks = await self._shelves.stocks([SessionKey(owner, record.session_id) for record in newest])
        return wire.MemoryStats(
            total_sessions=totals.total_sessions,
            sessions={
                record.session_id: self._use(record, stock) for record, stock in zip(newest, stocks, strict=True)
            },
        )

    def _use(self, record: Record, stock: Stock) -> wire.MemoryUse:
        memory = self._memories.of(stock.choice)
        use = memory.use(record.dialog_count, stock.choice)
        shelf = _SHELF_OF.get(memory.backend)
        if shelf is None:
            return use
        return wire.MemoryUse(
            backend=use.backend,
            dialog_count=use.dialog_count,
            max_dialogs=use.max_dialogs,
            usage_percent=use.usage_percent,
            items=stock.notes[shelf],
        )

    async def _read(self, owner: str, session_id: str) -> tuple[SessionKey, Reading]:
        key = key_of(owner, session_id)
        reading = await self._stored.head(key)
        if reading is None:
            raise missing(session_id)
        return key, reading
