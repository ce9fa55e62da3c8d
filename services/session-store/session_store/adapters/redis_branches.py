"""How sessions, branches and messages are written on Redis, and read again."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import msgspec

from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain import ranges
from session_store.domain.branches import BranchState
from session_store.domain.ranges import Range
from session_store.domain.records import Record, Window

encode = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(Message).decode
_choice = msgspec.json.Decoder(MemoryChoice).decode

FIELDS = ("created_us", "active_us", "title", "auto_title", "messages", "dialogs")
"""What of a session's meta makes a Record, in order."""

HASH_BYTES = 15


def turn_key(turn_id: str) -> str:
    """What a turn is called among those of its session: short, and without blanks, whatever its client calls it."""
    return urlsafe_b64encode(hashlib.sha256(turn_id.encode()).digest()[:HASH_BYTES]).decode()


def digest_key(digest: str | None) -> str:
    return "-" if digest is None else turn_key(digest)


def messages_of(lines: Sequence[bytes]) -> list[Message]:
    return [_message(line) for line in lines]


def choice_text(choice: MemoryChoice | None) -> bytes:
    return b"" if choice is None else encode(choice)


def choice_of(text: bytes) -> MemoryChoice | None:
    return _choice(text) if text else None


def window_of(row: Sequence[Any]) -> Window:
    """From branch, messages, untold, fixed, newest, ranges, memory."""
    branch, total, untold, fixed, newest, where, memory = row
    return Window(
        total,
        untold,
        messages_of(fixed),
        messages_of(newest),
        branch=branch.decode(),
        ranges=ranges.read(where.decode()),
        choice=choice_of(memory),
    )


def state_of(text: bytes) -> BranchState:
    """As `branch_as_text` in session.lua wrote it."""
    _, dialogs, untold, fixed_from, fixed_count, forked_at, where = text.decode().split(" ", 6)
    return BranchState(
        ranges=ranges.read(where),
        dialogs=int(dialogs),
        untold=int(untold),
        fixed=Range(int(fixed_from), int(fixed_from) + int(fixed_count)),
        forked_at=None if forked_at == "-" else int(forked_at),
    )


def state_text(state: BranchState) -> str:
    """What `state_of` reads."""
    fixed_count = state.fixed.behind - state.fixed.first
    forked_at = "-" if state.forked_at is None else state.forked_at
    counted = f"{state.count} {state.dialogs} {state.untold} {state.fixed.first} {fixed_count} {forked_at}"
    return f"{counted} {ranges.written(state.ranges)}"


def record_of(session_id: str, fields: Sequence[bytes | None]) -> Record | None:
    created, active, title, auto_title, messages, dialogs = fields
    if created is None or active is None:
        return None
    return Record(
        session_id=session_id,
        created_us=int(created),
        active_us=int(active),
        title=(title or b"").decode(),
        auto_title=(auto_title or b"").decode(),
        message_count=int(messages or 0),
        dialog_count=int(dialogs or 0),
    )
