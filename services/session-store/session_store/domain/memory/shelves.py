"""Where the notes of sessions are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sage_contracts.sessions import MemoryChoice
from session_store.domain.memory.notes import Note, Shelf
from session_store.domain.records import SessionKey

NOTES_AT_MOST = 1_000
"""On one shelf of a session; the oldest beyond them are given up."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What memory a session has chosen, and how many notes are on each of its shelves."""

    choice: MemoryChoice | None
    notes: dict[Shelf, int]


class Shelves(Protocol):
    """
    Notes lie in the session: they are cleared, deleted and expire with it. Raises StoreUnavailable when the place
    cannot be reached.
    """

    async def add(self, key: SessionKey, shelf: Shelf, notes: Sequence[Note], *, created_us: int | None = None) -> bool:
        """
        One of the same id and position is replaced; what was said before the session was cleared is not kept.

        False, and nothing is kept, when there is no such session, or none that began at `created_us` if that is given.
        """
        ...

    async def all(self, key: SessionKey, shelf: Shelf) -> list[Note]: ...

    async def remove(self, key: SessionKey, shelf: Shelf, item_id: str) -> int:
        """All notes of this id, wherever they were said; how many there were."""
        ...

    async def stocks(self, keys: Sequence[SessionKey]) -> list[Stock]: ...
