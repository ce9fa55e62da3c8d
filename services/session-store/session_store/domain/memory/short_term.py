"""The memory that is the conversation itself: its newest dialogs, and a summary of those that fell out."""

from collections.abc import Sequence
from typing import Any

from sage_contracts.errors import InvalidRequest
from sage_contracts.memory import MemoryItem, MemoryUse, NewFact
from sage_contracts.sessions import Backend, MemoryChoice
from session_store.domain.memory.fitting import hit_of
from session_store.domain.memory.notes import item_of, latest, on_branch
from session_store.domain.memory.summaries import Summaries
from session_store.domain.memory.window import NewestDialogs
from session_store.domain.ports import Further, Recalled
from session_store.domain.ranges import Ranges
from session_store.domain.records import Asked, Committed, SessionKey


class ShortTerm:
    """Implements Memory. Without `summaries` what falls out of the window is dropped."""

    backend: Backend = "short_term"

    def __init__(self, window: NewestDialogs, summaries: Summaries | None = None) -> None:
        self._window = window
        self._summaries = summaries

    @property
    def max_dialogs(self) -> int:
        return self._window.max_dialogs

    async def recall(self, asked: Asked, further: Further) -> Recalled:
        budget = self._window.budget(asked)
        count = await self._window.count(asked.model)
        told = await self._window.told(asked, further, budget_tokens=budget, count=count)
        if not told.full or self._summaries is None:
            return Recalled(told.messages, told.dropped, told.tokens)
        summary = await self._summaries.latest(asked.key, told.ranges) if told.dropped else None
        hits = [] if summary is None else [hit_of(summary, 1.0)]
        return await self._window.recalled(asked, further, budget_tokens=budget, count=count, found=lambda _: hits)

    async def remember(self, committed: Committed) -> None:
        if self._summaries is not None:
            await self._summaries.continue_after(committed)

    async def items(self, key: SessionKey, ranges: Ranges) -> list[MemoryItem]:
        if self._summaries is None:
            return []
        return [item_of(note) for note in latest(on_branch(await self._summaries.all(key), ranges))]

    async def forget(self, key: SessionKey, item_id: str) -> bool:
        return self._summaries is not None and await self._summaries.forget(key, item_id)

    async def erase(self, key: SessionKey) -> dict[str, int]:
        del key
        return {}

    async def put(self, key: SessionKey, facts: Sequence[NewFact]) -> list[MemoryItem]:
        del key, facts
        raise InvalidRequest("the memory of this session, short_term, keeps no facts: choose kv or graph")

    def notice(self) -> None:
        return None

    def use(self, dialog_count: int, choice: MemoryChoice | None = None) -> MemoryUse:
        return self._window.use(self.backend, dialog_count, choice)

    def settings(self) -> dict[str, Any]:
        return {**self._window.settings(), "summaries": self._summaries is not None}
