"""What the user's messages of a turn state, put on a shelf: at once by rules, later by an engine if there is one."""

import asyncio
from collections.abc import Callable, Sequence

from session_store.domain.memory.chores import Chores
from session_store.domain.memory.extracting import extracted
from session_store.domain.memory.notes import Note, Shelf, Statement, micros
from session_store.domain.memory.shelves import Shelves
from session_store.domain.ports import Scribe, Tally
from session_store.domain.records import Committed, Placed
from session_store.domain.texts import text_of

Rules = Callable[[str], Sequence[Statement]]
Noted = Callable[[Statement], Note]


class Learning:
    """`noted` makes the note of a statement, without where and when it was said."""

    def __init__(
        self,
        shelves: Shelves,
        shelf: Shelf,
        *,
        rules: Rules,
        noted: Noted,
        tally: Tally,
        engine: tuple[Scribe, Chores] | None,
    ) -> None:
        self._shelves = shelves
        self._shelf: Shelf = shelf
        self._rules = rules
        self._noted = noted
        self._tally = tally
        self._engine = engine

    async def learn(self, committed: Committed) -> None:
        for placed in committed.messages:
            if placed.message.role != "user":
                continue
            text = text_of(placed.message.content)
            await self._keep(committed, placed, self._rules(text))
            # A turn may have a thousand messages, and reading is work: others go on between them.
            await asyncio.sleep(0)
            if self._engine is not None and text.strip():
                self._engine[1].offer("extract", lambda placed=placed, text=text: self._read(committed, placed, text))  # type: ignore[misc]
        self._tally.memory("remember", "done")

    async def _read(self, committed: Committed, placed: Placed, text: str) -> None:
        if self._engine is not None:
            await self._keep(committed, placed, await extracted(self._engine[0], text))

    async def _keep(self, committed: Committed, placed: Placed, found: Sequence[Statement]) -> None:
        notes = [self._placed(self._noted(statement), placed) for statement in found]
        if notes:
            await self._shelves.add(committed.key, self._shelf, notes, created_us=committed.created_us)

    @staticmethod
    def _placed(note: Note, placed: Placed) -> Note:
        said_us = micros(placed.message.timestamp.timestamp())
        return Note(
            id=note.id,
            kind=note.kind,
            text=note.text,
            at_us=said_us,
            position=placed.position,
            message_id=placed.message.id,
            subject=note.subject,
            key=note.key,
            value=note.value,
            single=note.single,
            is_over=note.is_over,
        )


def fact_text(subject: str, key: str, value: str) -> str:
    return f"{subject}: {key}: {value}"
