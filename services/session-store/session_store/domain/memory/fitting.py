"""Which hits are told: those that the window does not tell already, best first, within a budget of tokens."""

from collections.abc import Iterable
from dataclasses import dataclass

from sage_contracts.turns import MemoryHit
from session_store.domain.memory.notes import Note
from session_store.domain.memory.tokens import Count
from session_store.domain.views import time_of

HITS_AT_MOST = 20
FRAME = 8
"""Tokens around each hit where it is quoted."""


@dataclass(frozen=True, slots=True)
class Fitted:
    hits: list[MemoryHit]
    tokens: int


def fitted(hits: Iterable[MemoryHit], *, budget_tokens: int, count: Count) -> Fitted:
    """`hits` best first; no text twice. One that does not fit is left out: a smaller one behind it may fit."""
    told: list[MemoryHit] = []
    room = budget_tokens
    for hit in hits:
        if any(hit.text == one.text for one in told):
            continue
        needed = FRAME + count(hit.text)
        if needed <= room and len(told) < HITS_AT_MOST:
            told.append(hit)
            room -= needed
    return Fitted(told, budget_tokens - room)


def hit_of(note: Note, score: float) -> MemoryHit:
    return MemoryHit(
        id=note.id,
        kind=note.kind,
        text=note.text,
        score=round(score, 4),
        message_id=note.message_id,
        at=time_of(note.at_us),
    )
