"""Sessions as the wire shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from sage_contracts import sessions as wire
from sage_contracts.sessions import Backend
from session_store.domain.branches import Reading, UnderWay
from session_store.domain.records import MICROS, Record
from session_store.domain.titles import UNTITLED


def shown_title(record: Record) -> str:
    return record.title or record.auto_title or UNTITLED


def summary_of(record: Record) -> wire.Summary:
    return wire.Summary(
        id=record.session_id,
        title=shown_title(record),
        created_at=time_of(record.created_us),
        last_active=time_of(record.active_us),
        message_count=record.message_count,
    )


def session_of(reading: Reading, usual: Backend) -> wire.Session:
    """`usual` is the memory of sessions that have chosen none."""
    record = reading.record
    told: dict[str, Any] = {
        "title": shown_title(record),
        "message_count": len(reading.messages),
        "branch": reading.branch,
        "memory": usual if reading.choice is None else reading.choice.backend,
    }
    if len(reading.branches) > 1:
        told["branches"] = sorted(reading.branches)
    if reading.under_way:
        told["pending"] = [pending_of(turn) for turn in reading.under_way]
    return wire.Session(
        id=record.session_id,
        messages=parented(reading.messages),
        created_at=time_of(record.created_us),
        last_active=time_of(record.active_us),
        metadata=told,
    )


def pending_of(turn: UnderWay) -> dict[str, Any]:
    return {
        "turn_id": turn.turn_id,
        "branch": turn.branch,
        "since": time_of(turn.since_us),
        "messages": [wire_pending(message) for message in turn.messages],
    }


def wire_pending(message: wire.Message) -> wire.Message:
    """Without the mark it bears if nobody ever answers it."""
    unmarked = {name: value for name, value in message.metadata.items() if name != "status"}
    return structs.replace(message, metadata=unmarked)


def parented(messages: Sequence[wire.Message]) -> list[wire.Message]:
    """A branch's messages, each with the one before it as its parent."""
    before: list[str | None] = [None, *(message.id for message in messages)]
    return [structs.replace(message, parent_id=parent) for message, parent in zip(messages, before, strict=False)]


def message_of(new: wire.NewMessage, message_id: str, now_us: int) -> wire.Message:
    return wire.Message(
        id=message_id,
        timestamp=time_of(now_us),
        role=new.role,
        content=new.content,
        name=new.name,
        tool_calls=new.tool_calls,
        tool_call_id=new.tool_call_id,
        extra=new.extra,
        metadata=new.metadata,
    )


def time_of(us: int) -> datetime:
    return datetime.fromtimestamp(us / MICROS, UTC)
