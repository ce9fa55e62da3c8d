"""Conversations: begun, read, listed, renamed, cleared, forgotten."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from sage_contracts import names
from sage_contracts import sessions as wire
from sage_contracts.errors import BranchNotFound, InvalidRequest, SessionExists, StoreFull
from session_store.domain.branches import Reading, empty
from session_store.domain.erasing import Erasing
from session_store.domain.keys import key_of, missing
from session_store.domain.memories import Memories
from session_store.domain.ports import Clock, Ids, StoredSessions, Tally
from session_store.domain.records import MICROS, Place, Record, SessionKey, cursor_of, place_of
from session_store.domain.titles import on_one_line
from session_store.domain.transfers.conversations import Conversation
from session_store.domain.travelling import arrived, travelling
from session_store.domain.views import session_of, shown_title, summary_of

HEAD = wire.ReadQuery()

SEARCHED_AT_ONCE = 50
SEARCHED_AT_MOST = 500
"""Sessions looked through for one page of a search; the page then ends, and its `next` goes on from there."""

EXPIRED_AT_ONCE = 200
"""Expired sessions swept out by one request: enough to keep up, too few to make it slow."""


class Sessions:
    """`ttl_us` is how long a session lives without activity; 0 is for ever."""

    def __init__(
        self,
        stored: StoredSessions,
        memories: Memories,
        erasing: Erasing,
        tally: Tally,
        *,
        clock: Clock,
        ids: Ids,
        ttl_us: int,
    ) -> None:
        self._stored = stored
        self._memories = memories
        self._erasing = erasing
        self._tally = tally
        self._clock = clock
        self._ids = ids
        self._ttl_us = ttl_us

    async def create(self, owner: str, new: wire.NewSession) -> wire.Session:
        """Raises SessionExists, and InvalidRequest when the memory it asks for is not set up here."""
        key = key_of(owner, f"sess_{self._ids()}" if new.session_id is None else new.session_id)
        self._memories.check(new.memory)
        title = on_one_line(new.title or "")
        now_us = self._now_us()
        if not await self._stored.create(key, title=title, now_us=now_us, choice=new.memory):
            raise SessionExists(f"there is a session {key.session_id!r} already", param="session_id")
        record = Record(session_id=key.session_id, created_us=now_us, active_us=now_us, title=title)
        return self._shown(empty(record, new.memory))

    async def read(self, owner: str, session_id: str, query: wire.ReadQuery = HEAD) -> wire.Session:
        """Raises BranchNotFound when it has no such branch."""
        branch = None if query.branch is None else names.branch(query.branch)
        found = await self._stored.read(key_of(owner, session_id), branch)
        if found is None:
            raise missing(session_id)
        if found.state is None:
            raise BranchNotFound(f"session {session_id!r} has no branch {branch!r}", param="branch")
        return self._shown(found)

    async def whole(self, owner: str, session_id: str) -> Conversation:
        """All branches of it, without what none of them holds."""
        found = await self._stored.whole(key_of(owner, session_id))
        if found is None:
            raise missing(session_id)
        return travelling(found, session_id)

    async def take_in(self, owner: str, conversation: Conversation) -> wire.Summary:
        """
        Store it whole, with its own times, under its own id where that is free, else under a new one.

        InvalidRequest when its id may not name a session, or its memory is not set up here.
        """
        self._memories.check(conversation.memory)
        wanted = conversation.session_id or f"sess_{self._ids()}"
        new = await asyncio.to_thread(arrived, conversation)
        while not await self._stored.put(key_of(owner, wanted), new):
            wanted = f"sess_{self._ids()}"
        return summary_of(replace(new.record, session_id=wanted))

    async def page(self, owner: str, query: wire.ListQuery) -> wire.Listed:
        after = None if query.after is None else place_of(query.after)
        stats = await self.stats(owner)
        found, last = await self._search(owner, after, limit=query.limit, words=(query.q or "").casefold())
        return wire.Listed(
            sessions=[summary_of(record) for record in found],
            stats=stats,
            has_more=last is not None,
            next=None if last is None else cursor_of(last),
        )

    async def newest(self, owner: str, limit: int) -> list[Record]:
        found, _ = await self._search(owner, None, limit=limit, words="")
        return found

    async def stats(self, owner: str) -> wire.Stats:
        """Kept as sessions change, not counted; what has expired is swept out first, unless the disk is full."""
        if self._ttl_us:
            with suppress(StoreFull):
                await self._sweep(owner)
        totals = await self._stored.totals(owner)
        return wire.Stats(total_sessions=totals.sessions, total_messages=totals.messages)

    async def _sweep(self, owner: str) -> None:
        now_us = self._now_us()
        until_us = now_us - self._ttl_us
        removed = await self._stored.remove_idle(owner, until_us=until_us, now_us=now_us, at_most=EXPIRED_AT_ONCE)
        self._tally.removed("expired", removed)

    async def retitle(self, owner: str, session_id: str, change: wire.Retitle) -> wire.Retitled:
        title = on_one_line(change.title)
        if not title:
            raise InvalidRequest("title must not be blank", param="title")
        if not await self._stored.retitle(key_of(owner, session_id), title):
            raise missing(session_id)
        return wire.Retitled(session_id=session_id, title=title)

    async def clear(self, owner: str, session_id: str) -> wire.SessionCleared:
        key = key_of(owner, session_id)
        await self._erasing.owe(key)
        was_there = await self._stored.clear(key, now_us=self._now_us())
        await self._erasing.erased(key)
        if not was_there:
            raise missing(session_id)
        return wire.SessionCleared(session_id=session_id)

    async def delete(self, owner: str, session_id: str) -> wire.SessionDeleted:
        """Leave nothing of it, here or elsewhere; what cannot be erased elsewhere now is so later."""
        key = key_of(owner, session_id)
        await self._erasing.owe(key)
        removed = await self._stored.delete(key)
        elsewhere = await self._erasing.erased(key)
        if removed is None:
            raise missing(session_id)
        self._tally.removed("deleted")
        return wire.SessionDeleted(session_id=session_id, removed=removed | elsewhere)

    async def clean_up(self, owner: str, query: wire.CleanupQuery) -> wire.CleanedUp:
        until = max(0.0, self._clock() - query.max_age_minutes * 60)
        removed = await self._stored.remove_idle(owner, until_us=int(until * MICROS), now_us=self._now_us())
        self._tally.removed("idle", removed)
        return wire.CleanedUp(removed_sessions=removed)

    async def _search(
        self, owner: str, after: Place | None, *, limit: int, words: str
    ) -> tuple[list[Record], Place | None]:
        """At most `limit` sessions whose title or text holds `words`, and the place to go on from; None at the end."""
        found: list[Record] = []
        searched = 0
        while True:
            count = SEARCHED_AT_ONCE if words else limit - len(found)
            page = await self._stored.page(owner, after=after, count=count, now_us=self._now_us())
            matching = await self._matching(owner, [record for _, record in page.entries], words)
            for place, record in page.entries:
                if record.session_id in matching:
                    found.append(record)
                if len(found) == limit:
                    is_last = page.next is None and record is page.entries[-1][1]
                    return found, None if is_last else place
            searched += count
            after = page.next
            if after is None or searched >= SEARCHED_AT_MOST:
                return found, after

    async def _matching(self, owner: str, records: Sequence[Record], words: str) -> set[str]:
        """The ids of those that hold the words."""
        titled = {record.session_id for record in records if words in shown_title(record).casefold()}
        others = [SessionKey(owner, record.session_id) for record in records if record.session_id not in titled]
        if not others:
            return titled
        return titled | {key.session_id for key in await self._stored.holding(others, words)}

    def _shown(self, reading: Reading) -> wire.Session:
        return session_of(reading, self._memories.usual.backend)

    def _now_us(self) -> int:
        return int(self._clock() * MICROS)
