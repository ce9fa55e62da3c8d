"""The memory of turns by meaning: each is kept by the rag-indexer, and found again by what is asked now."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol
from weakref import WeakValueDictionary

from sage_contracts.errors import InvalidRequest, SageError
from sage_contracts.memory import MemoryItem, MemoryUse, NewFact
from sage_contracts.recollections import Recalled as Found
from sage_contracts.recollections import Recollection
from sage_contracts.sessions import Backend, MemoryChoice
from sage_contracts.turns import MemoryHit
from session_store.domain import ranges as within
from session_store.domain.memory.fitting import hit_of
from session_store.domain.memory.notes import Note, item_of, latest, micros, on_branch
from session_store.domain.memory.pieces import message_of, pieces
from session_store.domain.memory.shelves import Shelves
from session_store.domain.memory.window import NewestDialogs, Told
from session_store.domain.ports import Further, Recalled, Tally
from session_store.domain.ranges import Ranges
from session_store.domain.records import Asked, Committed, SessionKey

log = logging.getLogger(__name__)

SHOWN_CHARS = 300
QUESTION_CHARS = 4_000
TOP = 60
WORTH = 0.07
"""A hit below this answers nothing."""

RECENT = 0.15
HALF_LIFE = 100
"""Messages after which a turn's being recent counts half."""

OWED_AT_MOST = 1_000
LOOKED_AT = 200
"""Sessions with vectors that are looked after at a time."""


class Recollected(Protocol):
    """What was said, by meaning. Raises SageError where it cannot be reached."""

    async def remember(self, key: SessionKey, items: Sequence[Recollection]) -> None: ...

    async def recall(self, key: SessionKey, question: str, *, within: Ranges, top_k: int) -> list[Found]:
        """Best first, of what was said at these positions; a few from between them may be among it."""
        ...

    async def forget(self, key: SessionKey, ids: Sequence[str] | None, *, keep: Sequence[str] = ()) -> int:
        """Those of `ids`, absent all, that are not in `keep`; how many there were."""
        ...


class Tenants(Protocol):
    """
    Which sessions have anything in the rag-indexer: kept apart from them, so that it is known of one that has expired.

    Raises StoreUnavailable when the place cannot be reached.
    """

    async def add(self, key: SessionKey) -> None: ...

    async def has(self, key: SessionKey) -> bool: ...

    async def remove(self, key: SessionKey) -> None: ...

    async def some(self, count: int) -> list[SessionKey]:
        """Any of them, at most so many."""
        ...


class Vectors:
    """Implements Memory. Without the rag-indexer it tells the window alone, says so, and keeps turns for later."""

    backend: Backend = "vdb"

    def __init__(
        self, window: NewestDialogs, shelves: Shelves, recollected: Recollected, tenants: Tenants, tally: Tally
    ) -> None:
        self._window = window
        self._shelves = shelves
        self._recollected = recollected
        self._tenants = tenants
        self._tally = tally
        self._owed: deque[tuple[SessionKey, list[Recollection]]] = deque(maxlen=OWED_AT_MOST)
        self._storing = asyncio.Lock()
        self._erasures: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()
        self._trouble: str | None = None

    @property
    def max_dialogs(self) -> int:
        return self._window.max_dialogs

    async def recall(self, asked: Asked, further: Further) -> Recalled:
        budget, count = self._window.budget(asked), await self._window.count(asked.model)
        told = await self._window.told(asked, further, budget_tokens=budget, count=count)
        question = asked.question.strip()[:QUESTION_CHARS]
        if not told.dropped or not question:
            return Recalled(told.messages, told.dropped, told.tokens)
        try:
            found = await self._recollected.recall(asked.key, question, within=told.ranges, top_k=TOP)
        except SageError as error:
            self._tally.memory("recall", "failed")
            self._trouble = f"what lies further back cannot be searched now: {error.message}"
            return Recalled(told.messages, told.dropped, told.tokens, notice=self._trouble)
        self._trouble = None
        self._tally.memory("recall", "done")
        return await self._window.recalled(
            asked, further, budget_tokens=budget, count=count, found=lambda told: _bearing(found, told)
        )

    async def remember(self, committed: Committed) -> None:
        notes = pieces(committed.messages)
        shown = [_shown(note) for note in notes]
        if not notes or not await self._shelves.add(committed.key, "memory", shown, created_us=committed.created_us):
            return
        if len(self._owed) == OWED_AT_MOST:
            self._tally.memory("remember", "dropped")
        self._owed.append((committed.key, [_recollection(note) for note in notes]))
        if self._trouble is None:
            await self.store_owed()

    async def store_owed(self) -> None:
        """
        Hand over what the rag-indexer has not taken yet, oldest first, until it fails.

        Called again and again from outside: after a failure no turn tries by itself, for others wait behind it.
        """
        async with self._storing:
            while self._owed:
                key, items = self._owed[0]
                try:
                    await self._store(key, items)
                except InvalidRequest as error:
                    # It would be refused again and again, and all others wait behind it.
                    self._tally.memory("remember", "failed")
                    log.warning("turn not remembered", extra={"session": key.session_id, "error": error.message})
                except SageError as error:
                    self._tally.memory("remember", "failed")
                    self._trouble = f"{len(self._owed)} turns wait to be remembered: {error.message}"
                    log.warning("turns wait to be remembered", extra={"turns": len(self._owed), "error": error.code})
                    return
                else:
                    self._tally.memory("remember", "done")
                self._trouble = None
                if self._owed and self._owed[0][1] is items:
                    self._owed.popleft()

    async def items(self, key: SessionKey, ranges: Ranges) -> list[MemoryItem]:
        return [item_of(note) for note in latest(on_branch(await self._shelves.all(key, "memory"), ranges))]

    async def forget(self, key: SessionKey, item_id: str) -> bool:
        """By meaning first: while that fails the item still stands, and can be forgotten again."""
        if item_id not in await self._listed(key):
            return False
        await self._recollected.forget(key, [item_id])
        return bool(await self._shelves.remove(key, "memory", item_id))

    async def erase(self, key: SessionKey) -> dict[str, int]:
        """
        All but what the session lists: another may have begun under its id since, and keeps what is its own.

        What is listed while this goes on is handed over after it.
        """
        owed_before = [owed for owed in self._owed if owed[0] == key]
        async with self._erasure_of(key):
            kept = await self._listed(key)
            for owed in owed_before:
                if owed in self._owed and not any(item.id in kept for item in owed[1]):
                    self._owed.remove(owed)
            if not await self._tenants.has(key):
                return {"vectors": 0}
            gone = await self._recollected.forget(key, None, keep=sorted(kept))
            await self._tenants.remove(key)
            if await self._listed(key):
                await self._tenants.add(key)
            return {"vectors": gone}

    async def erase_lost(self) -> None:
        """Erase what some sessions have left that went without a word: those that expired or were cleaned up."""
        try:
            keys = await self._tenants.some(LOOKED_AT)
            stocks = await self._shelves.stocks(keys)
            for key, stock in zip(keys, stocks, strict=True):
                if not stock.notes["memory"]:
                    await self.erase(key)
        except SageError as error:
            log.info("vectors of lost sessions not erased", extra={"error": error.code})

    async def put(self, key: SessionKey, facts: Sequence[NewFact]) -> list[MemoryItem]:
        del key, facts
        raise InvalidRequest("the memory of this session, vdb, keeps no facts: choose kv or graph")

    def notice(self) -> str | None:
        return self._trouble

    def use(self, dialog_count: int, choice: MemoryChoice | None = None) -> MemoryUse:
        return self._window.use(self.backend, dialog_count, choice)

    def settings(self) -> dict[str, Any]:
        return {
            **self._window.settings(),
            "found_by": "meaning and words, in the rag-indexer",
            "waiting": len(self._owed),
        }

    async def _store(self, key: SessionKey, items: Sequence[Recollection]) -> None:
        """
        A session that was deleted, cleared or made to forget meanwhile must not come back by this, nor by an earlier
        try that failed without an answer.
        """
        async with self._erasure_of(key):
            kept = await self._listed(key)
        if there := [item for item in items if item.id in kept]:
            await self._tenants.add(key)
            await self._recollected.remember(key, there)
            kept = await self._listed(key)
        if gone := [item.id for item in items if item.id not in kept]:
            await self._recollected.forget(key, gone)

    def _erasure_of(self, key: SessionKey) -> asyncio.Lock:
        return self._erasures.setdefault(key, asyncio.Lock())

    async def _listed(self, key: SessionKey) -> set[str]:
        return {note.id for note in await self._shelves.all(key, "memory")}


def _bearing(found: Sequence[Found], told: Told) -> list[MemoryHit]:
    """Of this branch, not in the window already, and worth telling; the likest first, of the like the newer."""
    newest = max((part.behind for part in told.ranges), default=0)
    there = [one for one in found if within.holds(told.ranges, one.position) and one.position not in told.positions]
    scored = [(one, (1 - RECENT) * one.score + RECENT * 0.5 ** ((newest - one.position) / HALF_LIFE)) for one in there]
    ranked = sorted(((one, score) for one, score in scored if one.score >= WORTH), key=lambda pair: -pair[1])
    return [hit_of(_note_of(one), score) for one, score in ranked]


def _note_of(found: Found) -> Note:
    return Note(
        id=found.id,
        kind="turn",
        text=found.text,
        at_us=micros(found.at),
        position=found.position,
        message_id=message_of(found.id),
    )


def _shown(note: Note) -> Note:
    if len(note.text) <= SHOWN_CHARS:
        return note
    shown = note.text[: SHOWN_CHARS - 1] + "…"
    return Note(
        id=note.id, kind="turn", text=shown, at_us=note.at_us, position=note.position, message_id=note.message_id
    )


def _recollection(note: Note) -> Recollection:
    return Recollection(id=note.id, text=note.text, at=note.at_us / 1_000_000, position=note.position or 0)
