"""The memory of facts: what somebody asked to be remembered, found again by its key and its words."""

from collections.abc import Sequence
from typing import Any

from sage_contracts.memory import MemoryItem, MemoryUse, NewFact
from sage_contracts.sessions import Backend, MemoryChoice
from sage_contracts.turns import MemoryHit
from session_store.domain.keys import missing
from session_store.domain.memory.fitting import hit_of
from session_store.domain.memory.learning import Learning, fact_text
from session_store.domain.memory.notes import Note, Statement, fact_id, item_of, latest, micros, on_branch
from session_store.domain.memory.shelves import Shelves
from session_store.domain.memory.window import NewestDialogs, Told
from session_store.domain.memory.words import likeness, words
from session_store.domain.ports import Clock, Further, Recalled
from session_store.domain.ranges import Ranges
from session_store.domain.records import Asked, Committed, SessionKey

RECENT = 0.1
"""What being the newest of all adds to a score, at most."""

KEY_WEIGHT = 0.5
"""A question that has the words of a fact's key asks for that fact."""


class Facts:
    """Implements Memory."""

    backend: Backend = "kv"

    def __init__(self, window: NewestDialogs, shelves: Shelves, learning: Learning, *, clock: Clock) -> None:
        self._window = window
        self._shelves = shelves
        self._learning = learning
        self._clock = clock

    @property
    def max_dialogs(self) -> int:
        return self._window.max_dialogs

    async def recall(self, asked: Asked, further: Further) -> Recalled:
        budget, count = self._window.budget(asked), await self._window.count(asked.model)
        notes = await self._shelves.all(asked.key, "facts")
        return await self._window.recalled(
            asked,
            further,
            budget_tokens=budget,
            count=count,
            found=lambda told: self._found(notes, asked.question, told),
        )

    async def remember(self, committed: Committed) -> None:
        await self._learning.learn(committed)

    async def items(self, key: SessionKey, ranges: Ranges) -> list[MemoryItem]:
        return [item_of(note) for note in latest(on_branch(await self._shelves.all(key, "facts"), ranges))]

    async def forget(self, key: SessionKey, item_id: str) -> bool:
        return bool(await self._shelves.remove(key, "facts", item_id))

    async def erase(self, key: SessionKey) -> dict[str, int]:
        del key
        return {}

    async def put(self, key: SessionKey, facts: Sequence[NewFact]) -> list[MemoryItem]:
        now_us = micros(self._clock())
        notes = [
            Note(
                id=fact_id(fact.subject, fact.key),
                kind="fact",
                text=fact_text(fact.subject, fact.key, fact.value),
                at_us=now_us,
                subject=fact.subject,
                key=fact.key,
                value=fact.value,
            )
            for fact in facts
        ]
        notes = list({note.id: note for note in notes}.values())
        if not await self._shelves.add(key, "facts", notes):
            raise missing(key.session_id)
        return [item_of(note) for note in notes]

    def notice(self) -> None:
        return None

    def use(self, dialog_count: int, choice: MemoryChoice | None = None) -> MemoryUse:
        return self._window.use(self.backend, dialog_count, choice)

    def settings(self) -> dict[str, Any]:
        return {**self._window.settings(), "found_by": "keys and words"}

    def _found(self, notes: Sequence[Note], question: str, told: Told) -> list[MemoryHit]:
        there = [note for note in latest(on_branch(notes, told.ranges)) if note.position not in told.positions]
        asked = words(question)
        keys = likeness(asked, [words(f"{note.subject} {note.key}") for note in there])
        whole = likeness(asked, [words(f"{note.subject} {note.key} {note.value} {note.text}") for note in there])
        scored = [
            (note, (1 - RECENT) * (KEY_WEIGHT * key + (1 - KEY_WEIGHT) * said) + RECENT * (1 - place / len(there)))
            for place, (note, key, said) in enumerate(zip(there, keys, whole, strict=True))
            if said > 0
        ]
        return [hit_of(note, score) for note, score in sorted(scored, key=lambda pair: -pair[1])]


def noted_fact(statement: Statement) -> Note:
    """One without a key of its own takes the place of nothing but itself."""
    own = statement.key if statement.single else f"{statement.key}: {statement.value}"
    return Note(
        id=fact_id(statement.subject, own),
        kind="fact",
        text=statement.text,
        at_us=0,
        subject=statement.subject,
        key=statement.key,
        value=statement.value,
        single=True,
    )
