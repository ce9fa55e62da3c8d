"""Sessions in this process: for tests, with every promise of the port but that of outliving the process."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sage_contracts.sessions import Message
from session_store.domain.ports import Clock
from session_store.domain.records import (
    Appended,
    NewTurn,
    Page,
    Place,
    Record,
    SessionKey,
    Totals,
    Window,
)


@dataclass(slots=True)
class _Kept:
    record: Record
    expires: float
    messages: list[Message] = field(default_factory=list)
    turns: dict[str, int] = field(default_factory=dict)
    appended: int = 0
    instructions: int = 0
    fixed: list[Message] = field(default_factory=list)


class MemorySessions:
    """Implements StoredSessions. `ttl_ms` is how long a session lives without activity; 0 is for ever."""

    def __init__(self, *, clock: Clock, ttl_ms: int = 0) -> None:
        self._clock = clock
        self._ttl_seconds = ttl_ms / 1000
        self._kept: dict[SessionKey, _Kept] = {}

    async def create(self, key: SessionKey, *, title: str, now_us: int) -> None:
        if self._found(key) is None:
            self._kept[key] = self._begun(key, now_us, title)

    async def append(self, key: SessionKey, turn: NewTurn) -> Appended:
        kept = self._found(key)
        if kept is None:
            # Nothing is known of it yet, so its first activity is the turn's own time.
            kept = self._kept[key] = self._begun(key, turn.now_us, "")
            kept.record = replace(kept.record, active_us=0)
        if turn.turn_id in kept.turns:
            gone = kept.appended - len(kept.messages)
            return Appended(message_count=max(0, kept.turns[turn.turn_id] - gone), repeated=True)
        kept.messages += turn.messages
        kept.instructions += turn.instructions
        if turn.fixed_count:
            kept.fixed = list(turn.messages[turn.fixed_from : turn.fixed_from + turn.fixed_count])
        kept.appended += len(turn.messages)
        kept.turns[turn.turn_id] = kept.appended
        for old in list(kept.turns)[:-1_000]:
            del kept.turns[old]
        kept.record = replace(
            kept.record,
            auto_title=kept.record.auto_title or turn.auto_title,
            message_count=len(kept.messages),
            dialog_count=kept.record.dialog_count + turn.dialogs,
        )
        self._touch(kept, turn.now_us)
        return Appended(message_count=len(kept.messages), repeated=False)

    async def read(self, key: SessionKey) -> tuple[Record, list[Message]] | None:
        kept = self._found(key)
        return None if kept is None else (kept.record, list(kept.messages))

    async def window(self, key: SessionKey, *, newest: int) -> Window:
        kept = self._found(key)
        if kept is None:
            return Window(0, 0, (), ())
        return Window(len(kept.messages), kept.instructions, list(kept.fixed), kept.messages[-newest:])

    async def clear(self, key: SessionKey, *, now_us: int) -> bool:
        kept = self._found(key)
        if kept is None:
            return False
        kept.messages.clear()
        kept.fixed.clear()
        kept.instructions = 0
        kept.record = replace(kept.record, auto_title="", message_count=0, dialog_count=0)
        self._touch(kept, now_us)
        return True

    async def retitle(self, key: SessionKey, title: str) -> bool:
        kept = self._found(key)
        if kept is None:
            return False
        kept.record = replace(kept.record, title=title)
        return True

    async def delete(self, key: SessionKey) -> bool:
        found = self._found(key) is not None
        self._kept.pop(key, None)
        return found

    async def page(self, owner: str, *, after: Place | None, count: int, now_us: int) -> Page:
        del now_us
        records = sorted(self._of(owner), key=_place, reverse=True)
        behind = [record for record in records if after is None or _place(record) < after]
        entries = [(_place(record), record) for record in behind[:count]]
        return Page(entries, entries[-1][0] if len(behind) > count else None)

    async def remove_idle(self, owner: str, *, until_us: int, at_most: int | None = None) -> int:
        idle = sorted((record for record in self._of(owner) if record.active_us <= until_us), key=_place)[:at_most]
        for record in idle:
            del self._kept[SessionKey(owner, record.session_id)]
        return len(idle)

    async def totals(self, owner: str) -> Totals:
        records = list(self._of(owner))
        return Totals(len(records), sum(record.message_count for record in records))

    def _of(self, owner: str) -> Iterator[Record]:
        for key in list(self._kept):
            if key.owner == owner and (kept := self._found(key)) is not None:
                yield kept.record

    def _found(self, key: SessionKey) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is not None and kept.expires <= self._clock():
            del self._kept[key]
            return None
        return kept

    def _begun(self, key: SessionKey, now_us: int, title: str) -> _Kept:
        record = Record(session_id=key.session_id, created_us=now_us, active_us=now_us, title=title)
        return _Kept(record, self._expiry())

    def _touch(self, kept: _Kept, now_us: int) -> None:
        kept.record = replace(kept.record, active_us=max(now_us, kept.record.active_us + 1))
        kept.expires = self._expiry()

    def _expiry(self) -> float:
        return self._clock() + self._ttl_seconds if self._ttl_seconds else float("inf")


def _place(record: Record) -> Place:
    return Place(record.active_us, record.session_id)
