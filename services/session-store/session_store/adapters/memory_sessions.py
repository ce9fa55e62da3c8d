"""Sessions in this process: for tests, with every promise of the port but that of outliving the process."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import MemoryChoice
from session_store.adapters.memory_log import Log
from session_store.domain.branches import BranchState, Forked, NewBranch, Reading, Unforked, Whole
from session_store.domain.openings import BRANCHES_AT_MOST
from session_store.domain.ports import Clock
from session_store.domain.records import Page, Place, Record, SessionKey, Totals


class MemorySessions:
    """Implements StoredSessions. `ttl_ms` is how long a session lives without activity; 0 is for ever."""

    def __init__(self, *, clock: Clock, ttl_ms: int = 0) -> None:
        self._clock = clock
        self._ttl_seconds = ttl_ms / 1000
        self._logs: dict[SessionKey, Log] = {}

    async def create(self, key: SessionKey, *, title: str, now_us: int, choice: MemoryChoice | None = None) -> bool:
        if self.found(key) is not None:
            return False
        log = self.begun(key, now_us, title)[0]
        log.choice = choice
        self.touch(log, now_us)
        return True

    async def read(self, key: SessionKey, branch: str | None = None) -> Reading | None:
        log = self.found(key)
        return None if log is None else log.reading(branch or log.head)

    async def head(self, key: SessionKey) -> Reading | None:
        found = await self.read(key)
        return None if found is None else replace(found, messages=())

    async def whole(self, key: SessionKey) -> Whole | None:
        log = self.found(key)
        return None if log is None else log.whole()

    async def put(self, key: SessionKey, new: Whole) -> bool:
        if self.found(key) is not None:
            return False
        log, _ = self.begun(key, new.record.created_us)
        log.choice, log.base, log.head = new.choice, new.base, new.head
        log.messages, log.branches = list(new.log), dict(new.branches)
        head = new.branches[new.head]
        log.record = replace(new.record, session_id=key.session_id, message_count=head.count, dialog_count=head.dialogs)
        return True

    async def fork(self, key: SessionKey, new: NewBranch) -> Forked:
        log = self.found(key)
        if log is None:
            return Unforked.MISSING
        if (log.record.created_us, log.base) != (new.of.record.created_us, new.of.base):
            return Unforked.CHANGED
        if len(log.branches) >= BRANCHES_AT_MOST:
            return Unforked.TOO_MANY
        if new.name is not None and log.branch(new.name) is not None:
            return Unforked.EXISTS
        self.touch(log, new.now_us)
        log.save(MAIN_BRANCH, log.branch(MAIN_BRANCH) or BranchState())
        name = new.name or log.free_name()
        if new.select:
            log.head = name
        log.save(name, new.state)
        return name

    async def select(self, key: SessionKey, branch: str, *, now_us: int) -> Literal["selected", "missing", "no_branch"]:
        log = self.found(key)
        if log is None:
            return "missing"
        if (state := log.branch(branch)) is None:
            return "no_branch"
        self.touch(log, now_us)
        log.head = branch
        log.save(branch, state)
        return "selected"

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

    async def entitle(self, key: SessionKey, of: Record, title: str) -> bool:
        log = self.found(key)
        if log is None or (log.record.created_us, log.record.auto_title) != (of.created_us, of.auto_title):
            return False
        log.record = replace(log.record, auto_title=title)
        return True

    async def delete(self, key: SessionKey) -> dict[str, int] | None:
        log = self.found(key)
        self._logs.pop(key, None)
        return None if log is None else log.counts()

    async def page(self, owner: str, *, after: Place | None, count: int, now_us: int) -> Page:
        del now_us
        records = sorted(self._of(owner), key=_place, reverse=True)
        behind = [record for record in records if after is None or _place(record) < after]
        entries = [(_place(record), record) for record in behind[:count]]
        return Page(entries, entries[-1][0] if len(behind) > count else None)

    async def holding(self, keys: Sequence[SessionKey], words: str) -> set[SessionKey]:
        return {key for key in keys if (log := self.found(key)) is not None and log.holds(words)}

    async def remove_idle(self, owner: str, *, until_us: int, now_us: int, at_most: int | None = None) -> int:
        idle = sorted((record for record in self._of(owner) if record.active_us <= until_us), key=_place)[:at_most]
        keys = [SessionKey(owner, record.session_id) for record in idle]
        gone = [key for key in keys if not any(held.until_us > now_us for held in self._logs[key].held.values())]
        for key in gone:
            del self._logs[key]
        return len(gone)

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
