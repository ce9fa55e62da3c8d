"""The memory of relations: who is what, has what, lives where; found again from what a question names."""

from collections.abc import Sequence
from typing import Any

from sage_contracts.memory import MemoryItem, MemoryUse, NewFact
from sage_contracts.sessions import Backend, MemoryChoice
from sage_contracts.turns import MemoryHit
from session_store.domain.keys import missing
from session_store.domain.memory.fitting import hit_of
from session_store.domain.memory.learning import Learning, fact_text
from session_store.domain.memory.notes import Note, Statement, edges, item_of, micros, on_branch, relation_id
from session_store.domain.memory.shelves import Shelves
from session_store.domain.memory.walking import STEPS, bearing
from session_store.domain.memory.window import NewestDialogs, Told
from session_store.domain.ports import Clock, Further, Recalled
from session_store.domain.ranges import Ranges
from session_store.domain.records import Asked, Committed, SessionKey


class Graph:
    """Implements Memory. What a person writes by hand is a relation like those that were said."""

    backend: Backend = "graph"

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
        notes = await self._shelves.all(asked.key, "relations")
        relations = bearing(asked.question, edges(on_branch(notes, asked.window.ranges)))

        def found(told: Told) -> list[MemoryHit]:
            return [hit_of(edge.note, score) for edge, score in relations if edge.note.position not in told.positions]

        return await self._window.recalled(asked, further, budget_tokens=budget, count=count, found=found)

    async def remember(self, committed: Committed) -> None:
        await self._learning.learn(committed)

    async def items(self, key: SessionKey, ranges: Ranges) -> list[MemoryItem]:
        """Also those that were contradicted: they are closed, not gone."""
        found = edges(on_branch(await self._shelves.all(key, "relations"), ranges))
        return [item_of(edge.note, edge.closed_us) for edge in found]

    async def forget(self, key: SessionKey, item_id: str) -> bool:
        return bool(await self._shelves.remove(key, "relations", item_id))

    async def erase(self, key: SessionKey) -> dict[str, int]:
        del key
        return {}

    async def put(self, key: SessionKey, facts: Sequence[NewFact]) -> list[MemoryItem]:
        """A subject has one value of a key that was written by hand: a later one closes it."""
        now_us = micros(self._clock())
        notes = [
            Note(
                id=relation_id(fact.subject, fact.key, fact.value),
                kind="relation",
                text=fact_text(fact.subject, fact.key, fact.value),
                at_us=now_us + place,
                subject=fact.subject,
                key=fact.key,
                value=fact.value,
                single=True,
            )
            for place, fact in enumerate(facts)
        ]
        if not await self._shelves.add(key, "relations", notes):
            raise missing(key.session_id)
        return [item_of(edge.note, edge.closed_us) for edge in reversed(edges(notes))]

    def notice(self) -> None:
        return None

    def use(self, dialog_count: int, choice: MemoryChoice | None = None) -> MemoryUse:
        return self._window.use(self.backend, dialog_count, choice)

    def settings(self) -> dict[str, Any]:
        return {**self._window.settings(), "found_by": f"names, within {STEPS} steps"}


def noted_relation(statement: Statement) -> Note:
    return Note(
        id=relation_id(statement.subject, statement.key, statement.value),
        kind="relation",
        text=statement.text,
        at_us=0,
        subject=statement.subject,
        key=statement.key,
        value=statement.value,
        single=statement.single,
        is_over=statement.is_over,
    )
