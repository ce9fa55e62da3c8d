"""Sessions as the wire shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sage_contracts import sessions as wire
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


def session_of(record: Record, messages: Sequence[wire.Message]) -> wire.Session:
    return wire.Session(
        id=record.session_id,
        messages=list(messages),
        created_at=time_of(record.created_us),
        last_active=time_of(record.active_us),
        metadata={"title": shown_title(record), "message_count": record.message_count},
    )


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
