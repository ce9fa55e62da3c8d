"""A turn cut into the pieces that are found by meaning, each with an id of its own."""

import hashlib
from collections.abc import Sequence

from session_store.domain.memory.notes import Note, micros
from session_store.domain.records import Placed
from session_store.domain.texts import text_of

PIECE_CHARS = 1_200
"""A turn is kept whole up to this length, a longer one in pieces: the mean of many words means little."""

PIECES_AT_MOST = 40
LONGEST_ID = 128
NAMELESS = "turn-of-"
"""Begins the ids of pieces that do not tell their message's."""


def pieces(messages: Sequence[Placed]) -> list[Note]:
    """
    The turn as one text where that is short, else each message's in pieces.

    It stands where its last message stands: on a branch that leaves within the turn it is not known.
    """
    said = [placed for placed in messages if placed.message.role in {"user", "assistant"} and _text(placed)]
    if not said:
        return []
    whole = "\n".join(_spoken(placed) for placed in said)
    if len(whole) <= PIECE_CHARS:
        return [_note(said[0], whole, said[-1].position, 0)]
    notes: list[Note] = []
    for placed in said:
        text = _spoken(placed)
        cuts = range(0, len(text), PIECE_CHARS)
        notes += [_note(placed, text[at : at + PIECE_CHARS], placed.position, n) for n, at in enumerate(cuts)]
    return notes[:PIECES_AT_MOST]


def _note(placed: Placed, text: str, position: int, number: int) -> Note:
    said_us = micros(placed.message.timestamp.timestamp())
    return Note(
        id=_piece_id(placed.message.id, number),
        kind="turn",
        text=text,
        at_us=said_us,
        position=position,
        message_id=placed.message.id,
    )


def _piece_id(message_id: str, number: int) -> str:
    """The message's own, as `message_of` reads it; one with dots, or no room for a number, is named otherwise."""
    if "." in message_id or len(message_id) > LONGEST_ID - 3:
        message_id = f"{NAMELESS}{hashlib.sha256(message_id.encode()).hexdigest()[:20]}"
    return f"{message_id}.{number}" if number else message_id


def message_of(piece_id: str) -> str | None:
    """None where the piece's id does not tell."""
    return None if piece_id.startswith(NAMELESS) else piece_id.partition(".")[0]


def _spoken(placed: Placed) -> str:
    return f"{placed.message.role}: {_text(placed)}"


def _text(placed: Placed) -> str:
    return text_of(placed.message.content).strip()
