"""The memory that is the conversation itself: its newest dialogs, as many as fit."""

from typing import Any

from sage_contracts.memory import MemoryItem
from sage_contracts.sessions import Backend, MemoryChoice, MemoryUse
from session_store.domain.memory.tokens import FRAME, PART
from session_store.domain.memory.trimming import trim
from session_store.domain.ports import Further, Recalled
from session_store.domain.ranges import Ranges
from session_store.domain.records import Asked, Committed, SessionKey


class ShortTerm:
    """Implements Memory. `budget_tokens` counts where the request gives none."""

    backend: Backend = "short_term"

    def __init__(self, *, max_dialogs: int, budget_tokens: int) -> None:
        self._max_dialogs = max_dialogs
        self._budget_tokens = budget_tokens

    @property
    def max_dialogs(self) -> int:
        return self._max_dialogs

    async def recall(self, asked: Asked, further: Further) -> Recalled:
        budget = self._budget_tokens if asked.budget_tokens is None else asked.budget_tokens
        window = asked.window
        while True:
            told = trim(window.fixed, window.tail, budget_tokens=budget, max_dialogs=self._max_dialogs)
            if told.full or len(window.tail) == window.total:
                dropped = window.total - window.instructions - told.spoken
                return Recalled(told.messages, dropped, told.tokens)
            window = await further(4 * len(window.tail))

    async def remember(self, committed: Committed) -> None:
        """The conversation is all there is."""

    async def items(self, key: SessionKey, ranges: Ranges) -> list[MemoryItem]:
        del key, ranges
        return []

    async def forget(self, key: SessionKey, item_id: str) -> bool:
        del key, item_id
        return False

    async def erase(self, key: SessionKey) -> dict[str, int]:
        del key
        return {}

    def use(self, dialog_count: int, choice: MemoryChoice | None = None) -> MemoryUse:
        del choice
        held = min(dialog_count, self._max_dialogs)
        return MemoryUse(
            backend=self.backend,
            dialog_count=held,
            max_dialogs=self._max_dialogs,
            usage_percent=round(100 * held / self._max_dialogs, 1),
        )

    def settings(self) -> dict[str, Any]:
        return {
            "max_dialogs": self._max_dialogs,
            "budget_tokens": self._budget_tokens,
            "tokens": f"estimated: 4 Latin letters or 1 CJK character a token, {FRAME} a message, {PART} an image",
        }
