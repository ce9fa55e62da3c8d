"""What was learnt of a conversation, one statement a note, and which of the notes hold on a branch."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from msgspec import UNSET, Struct

from sage_contracts.memory import ItemKind, MemoryItem
from session_store.domain import ranges as within
from session_store.domain.ranges import Ranges
from session_store.domain.records import MICROS
from session_store.domain.views import time_of

Shelf = Literal["facts", "relations", "summaries", "memory"]
"""Where in a session notes of a kind are kept; in `memory` are the turns that are found by meaning."""

USER = "user"
"""The subject that is the person who talks."""


class Note(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    `id` is that of what it says: a later note of the same id takes its place, where both hold. `position` is where in
    the session's log it was said, None for one written by hand, which holds on every branch. `single` says that a
    subject has one value of this key at a time, `is_over` that this one is so no longer.
    """

    id: str
    kind: ItemKind
    text: str
    at_us: int
    position: int | None = None
    message_id: str | None = None
    last_message_id: str | None = None
    subject: str = ""
    key: str = ""
    value: str = ""
    single: bool = False
    is_over: bool = False

    @property
    def learnt_from(self) -> str | None:
        """The message it stands at: the last of those it was learnt from."""
        return self.last_message_id or self.message_id

    @property
    def field(self) -> str:
        return f"{self.id}@{'-' if self.position is None else self.position}"

    @property
    def order(self) -> tuple[int, int]:
        return self.at_us, -1 if self.position is None else self.position


@dataclass(frozen=True, slots=True)
class Statement:
    """Something said of a subject, before it is known where and when."""

    subject: str
    key: str
    value: str
    text: str
    single: bool = False
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation that holds, or held until `closed_us`. `strength` is how often it was said."""

    note: Note
    strength: int
    closed_us: int | None


def fact_id(subject: str, key: str) -> str:
    return "fact_" + _digest(subject, key)


def relation_id(subject: str, key: str, value: str) -> str:
    return "relation_" + _digest(subject, key, value)


def on_branch(notes: Iterable[Note], ranges: Ranges) -> list[Note]:
    """
    Those that were said on the branch which lies at `ranges`, or by nobody; oldest first.

    What was said stands in the order of the conversation, whatever the clocks were; what was written by hand, among it
    by its time.
    """
    held = [note for note in notes if note.position is None or within.holds(ranges, note.position)]
    said = sorted((note for note in held if note.position is not None), key=lambda note: note.position or 0)
    latest_us = accumulate((note.at_us for note in said), max)
    placed = [(at_us, note.position or 0, note) for at_us, note in zip(latest_us, said, strict=True)]
    placed += [(note.at_us, -1, note) for note in held if note.position is None]
    return [note for _, _, note in sorted(placed, key=lambda place: place[:2])]


def latest(notes: Sequence[Note]) -> list[Note]:
    """The latest note of each id, newest first. The notes are given oldest first."""
    return sorted({note.id: note for note in notes}.values(), key=lambda note: note.order, reverse=True)


def edges(notes: Sequence[Note]) -> list[Edge]:
    """
    The relations that the notes, oldest first, make, newest first. Said of a subject with another value, a relation of
    which there is one at a time is closed, as is any that is said to be over; said again, it is open again.
    """
    strength: dict[str, int] = {}
    last: dict[str, Note] = {}
    closed: dict[str, int] = {}
    open_now: dict[tuple[str, str], str] = {}
    for note in notes:
        if note.is_over:
            closed.setdefault(note.id, note.at_us)
            continue
        strength[note.id] = strength.get(note.id, 0) + 1
        last[note.id] = note
        closed.pop(note.id, None)
        if note.single:
            place = (note.subject.casefold(), note.key.casefold())
            before = open_now.get(place)
            if before is not None and before != note.id:
                closed.setdefault(before, note.at_us)
            open_now[place] = note.id
    newest = sorted(last.values(), key=lambda note: note.order, reverse=True)
    return [Edge(note, strength[note.id], closed.get(note.id)) for note in newest]


def item_of(note: Note, closed_us: int | None = None) -> MemoryItem:
    is_statement = note.kind in {"fact", "relation"}
    is_summary = note.kind == "summary"
    return MemoryItem(
        id=note.id,
        kind=note.kind,
        text=note.text,
        at=time_of(note.at_us),
        message_id=note.message_id,
        subject=note.subject if is_statement else UNSET,
        key=note.key if is_statement else UNSET,
        value=note.value if is_statement else UNSET,
        closed_at=UNSET if closed_us is None else time_of(closed_us),
        first_message_id=note.message_id or "" if is_summary else UNSET,
        last_message_id=note.last_message_id or "" if is_summary else UNSET,
    )


def micros(seconds: float) -> int:
    return int(seconds * MICROS)


def _digest(*parts: str) -> str:
    said = "\n".join(" ".join(part.casefold().split()) for part in parts)
    return hashlib.sha256(said.encode()).hexdigest()[:20]
