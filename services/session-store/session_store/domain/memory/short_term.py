"""The memory that is the conversation itself: its newest dialogs, as many as fit."""

from typing import Any

from sage_contracts.sessions import Backend, MemoryUse
from session_store.domain.memory.tokens import FRAME, PART
from session_store.domain.memory.trimming import trim
from session_store.domain.ports import Recalled, StoredSessions
from session_store.domain.records import SessionKey

MESSAGES_A_DIALOG = 4
"""How many are fetched for each dialog at first; a session with longer ones is read again, further back."""


class ShortTerm:
    """Implements Memory. `budget_tokens` counts where the request gives none."""

    backend: Backend = "short_term"

    def __init__(self, stored: StoredSessions, *, max_dialogs: int, budget_tokens: int) -> None:
        self._stored = stored
        self._max_dialogs = max_dialogs
        self._budget_tokens = budget_tokens

    @property
    def max_dialogs(self) -> int:
        return self._max_dialogs

    async def recall(self, key: SessionKey, budget_tokens: int | None) -> Recalled:
        budget = self._budget_tokens if budget_tokens is None else budget_tokens
        newest = (self._max_dialogs + 1) * MESSAGES_A_DIALOG
        while True:
            window = await self._stored.window(key, newest=newest)
            told = trim(window.fixed, window.tail, budget_tokens=budget, max_dialogs=self._max_dialogs)
            if told.full or len(window.tail) == window.total:
                dropped = window.total - window.instructions - told.spoken
                return Recalled(told.messages, dropped, told.tokens)
            newest *= 4

    def use(self, dialog_count: int) -> MemoryUse:
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
