"""Sessions in this process: for tests, with every promise of the port but that of outliving the process."""

from collections.abc import Iterator
from dataclasses import replace

from sage_contracts.sessions import Message
from session_store.adapters.memory_log import Log
from session_store.domain.branches import BranchState
from session_store.domain.ports import Clock
from session_store.domain.records import Appended, NewTurn, Page, Place, Record, SessionKey, Totals


class MemorySessions:
    """Implements StoredSessions. `ttl_ms` is how long a session lives without activity; 0 is for ever."""

    def __init__(self, *, clock: Clock, ttl_ms: int = 0) -> None:
        self._clock = clock
        self._ttl_seconds = ttl_ms / 1000
        self._logs: dict[SessionKey, Log] = {}

    async def create(self, key: SessionKey, *, title: str, now_us: int) -> None:
        if self.found(key) is None:
            self.touch(self.begun(key, now_us, title)[0], now_us)

    async def append(self, key: SessionKey, turn: NewTurn) -> Appended:
        log = self.begun(key, turn.now_us)[0]
        if (seen := log.known.get(turn.turn_id)) is not None:
            return Appended(message_count=0 if seen.part.first < log.base else seen.count, repeated=True)
        part = log.append(log.head, turn)
        log.learn(log.head, turn.turn_id, part, "done", None)
        self.touch(log, turn.now_us)
        return Appended(message_count=log.record.message_count, repeated=False)

    async def read(self, key: SessionKey) -> tuple[Record, list[Message]] | None:
        log = self.found(key)
        return None if log is None else (log.record, log.of(log.branches.get(log.head, BranchState())))

    async def clear(self, key: SessionKey, *, now_us: int) -> bool:
        log = self.found(key)
        if log is None:
            return False
        log.clear()
        self.touch(log, now_us)
        return True

    async def retitle(self, key: SessionKey, title: str) -> bool:
        log = self.found(key)
        if log is None:
            return False
        log.record = replace(log.record, title=title)
        return True

    async def delete(self, key: SessionKey) -> bool:
        found = self.found(key) is not None
        self._logs.pop(key, None)
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
            del self._logs[SessionKey(owner, record.session_id)]
        return len(idle)

    async def totals(self, owner: str) -> Totals:
        records = list(self._of(owner))
        return Totals(len(records), sum(record.message_count for record in records))

    def found(self, key: SessionKey) -> Log | None:
        log = self._logs.get(key)
        if log is not None and log.expires <= self._clock():
            del self._logs[key]
            return None
        return log

    def begun(self, key: SessionKey, now_us: int, title: str = "") -> tuple[Log, bool]:
        """The session, and whether it had to be begun: then its first activity is still to come."""
        if (log := self.found(key)) is not None:
            return log, False
        record = Record(session_id=key.session_id, created_us=now_us, active_us=0, title=title)
        log = self._logs[key] = Log(record, self._expiry())
        return log, True

    def touch(self, log: Log, now_us: int) -> None:
        log.record = replace(log.record, active_us=max(now_us, log.record.active_us + 1))
        self.stay(log)

    def stay(self, log: Log) -> None:
        """It is in use, and lives on."""
        log.expires = self._expiry()

    def remove(self, key: SessionKey) -> None:
        del self._logs[key]

    def _of(self, owner: str) -> Iterator[Record]:
        for key in list(self._logs):
            if key.owner == owner and (log := self.found(key)) is not None:
                yield log.record

    def _expiry(self) -> float:
        return self._clock() + self._ttl_seconds if self._ttl_seconds else float("inf")


def _place(record: Record) -> Place:
    return Place(record.active_us, record.session_id)
