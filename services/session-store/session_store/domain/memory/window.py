"""The newest dialogs of a branch, as every memory tells them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sage_contracts.memory import MemoryUse
from sage_contracts.sessions import Backend, MemoryChoice, Message
from sage_contracts.turns import MemoryHit
from session_store.domain.memory.fitting import fitted
from session_store.domain.memory.tokens import FRAME, PART, Count, text_tokens
from session_store.domain.memory.trimming import Trimmed, trim
from session_store.domain.ports import Further, Recalled, Tokenizers
from session_store.domain.ranges import Ranges
from session_store.domain.records import Asked, Window

HIT_SHARE = 4
"""Hits may take one part in so many of the budget."""

HIT_TOKENS = 1_024
"""And at most so many tokens."""


@dataclass(frozen=True, slots=True)
class Told:
    """
    What of the window is told, and where in the log its dialogs begin (None: none is told). `full` says that with
    another dialog the oldest told would fall out.
    """

    messages: Sequence[Message]
    dropped: int
    tokens: int
    positions: frozenset[int]
    ranges: Ranges
    full: bool

    @property
    def first(self) -> int | None:
        return min(self.positions, default=None)


Found = Callable[[Told], Sequence[MemoryHit]]
"""What beside this window is worth telling, best first."""


class NewestDialogs:
    """`budget_tokens` and `max_dialogs` count where neither the request nor the session's choice says otherwise."""

    def __init__(self, *, max_dialogs: int, budget_tokens: int, tokenizers: Tokenizers) -> None:
        self.max_dialogs = max_dialogs
        self.budget_tokens = budget_tokens
        self._tokenizers = tokenizers

    async def count(self, model: str | None) -> Count:
        return await self._tokenizers.counter(model) or text_tokens

    def budget(self, asked: Asked) -> int:
        chosen = None if asked.window.choice is None else asked.window.choice.budget_tokens
        if asked.budget_tokens is None:
            return self.budget_tokens if chosen is None else chosen
        return asked.budget_tokens if chosen is None else min(asked.budget_tokens, chosen)

    async def told(self, asked: Asked, further: Further, *, budget_tokens: int, count: Count) -> Told:
        window = asked.window
        most = self.dialogs_of(window.choice)
        beside = window.fixed if asked.has_instructions else ()
        fixed = () if asked.has_instructions else window.fixed
        seen = 0
        while True:
            told = trim(fixed, window.tail, budget_tokens=budget_tokens, max_dialogs=most, count=count)
            if told.full or len(window.tail) >= window.total or len(window.tail) <= seen:
                return _told(window, told, beside)
            seen = len(window.tail)
            window = await further(4 * max(1, seen))

    async def recalled(
        self, asked: Asked, further: Further, *, budget_tokens: int, count: Count, found: Found
    ) -> Recalled:
        """
        The newest dialogs, and of what is `found` beside them as much as may be. The dialogs make room for it only
        where both do not fit.
        """
        room = hit_budget(budget_tokens)
        told = await self.told(asked, further, budget_tokens=budget_tokens, count=count)
        hits = fitted(found(told), budget_tokens=room, count=count)
        if hits.tokens and told.tokens + hits.tokens > budget_tokens:
            told = await self.told(asked, further, budget_tokens=budget_tokens - room, count=count)
            hits = fitted(found(told), budget_tokens=room, count=count)
        begins = told.first if told.full else None
        return Recalled(told.messages, told.dropped, told.tokens, hits.hits, hits.tokens, begins)

    def dialogs_of(self, choice: MemoryChoice | None) -> int:
        return self.max_dialogs if choice is None or choice.max_dialogs is None else choice.max_dialogs

    def use(self, backend: Backend, dialog_count: int, choice: MemoryChoice | None) -> MemoryUse:
        most = self.dialogs_of(choice)
        held = min(dialog_count, most)
        return MemoryUse(
            backend=backend, dialog_count=held, max_dialogs=most, usage_percent=round(100 * held / most, 1)
        )

    def settings(self) -> dict[str, Any]:
        return {
            "max_dialogs": self.max_dialogs,
            "budget_tokens": self.budget_tokens,
            "tokens": f"estimated: 4 Latin letters or 1 CJK character a token, {FRAME} a message, {PART} an image",
            "tokenizers": self._tokenizers.models(),
        }


def hit_budget(budget_tokens: int) -> int:
    return min(budget_tokens // HIT_SHARE, HIT_TOKENS)


def _told(window: Window, told: Trimmed, beside: Sequence[Message]) -> Told:
    spoken = {message.id for dialog in told.dialogs for message in dialog}
    placed = zip(window.positions, window.tail, strict=True)
    return Told(
        messages=[*beside, *told.messages],
        dropped=window.total - window.instructions - told.spoken,
        tokens=told.tokens,
        positions=frozenset(position for position, message in placed if message.id in spoken),
        ranges=window.ranges,
        full=told.full,
    )
