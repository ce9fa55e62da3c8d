"""Sessions on Redis or Valkey: a HASH and a LIST of JSON each, and what `redis_keys` names; changed by Lua scripts."""

from collections.abc import Sequence
from typing import Literal, cast

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client, Command, answered, send, send_all
from sage_contracts.sessions import MemoryChoice
from session_store.adapters import redis_matching, redis_reading
from session_store.adapters.redis_branches import FIELDS, choice_text, record_of, state_text
from session_store.adapters.redis_index import RedisIndex, beside, known_activity
from session_store.adapters.redis_keys import part, parts
from session_store.adapters.redis_scripts import nonce, session_script
from session_store.domain.branches import Forked, NewBranch, Reading, Unforked, Whole
from session_store.domain.openings import BRANCHES_AT_MOST
from session_store.domain.records import Page, Place, Record, SessionKey, Totals

GRACE_US = 60_000_000
"""An index entry without a session is left alone so long: the session may be about to be written."""

BATCH = 100
FOREVER_US = 2**53
COUNTED = ("messages", "branches", "turns", "locks", "facts", "relations", "summaries")
"""What delete.lua counts, in its order."""

_CREATE, _SELECT = session_script("create"), session_script("select")
_FORK, _ENTITLE = session_script("fork"), session_script("entitle")
_CLEAR, _RETITLE, _DELETE = session_script("clear"), session_script("retitle"), session_script("delete")


class RedisSessions:
    """
    Implements StoredSessions. `ttl_ms` is how long a session lives without activity; 0 is for ever.

    All keys of a session share a hash tag and expire together. They are the truth; the index of an owner's sessions
    has another tag, is written beside them and repaired when read.
    """

    def __init__(self, redis: Client, index: RedisIndex, *, ttl_ms: int) -> None:
        self._redis = redis
        self._index = index
        self._ttl_ms = ttl_ms

    async def create(self, key: SessionKey, *, title: str, now_us: int, choice: MemoryChoice | None = None) -> bool:
        entering = self._index.entering(key.owner, key.session_id, now_us)
        call = (parts(key), (now_us, self._ttl_ms, title, choice_text(choice), nonce()))
        async with reached():
            (created,) = await _CREATE.run_each(self._redis, [call], before=[entering])
        return bool(created)

    async def read(self, key: SessionKey, branch: str | None = None) -> Reading | None:
        return await redis_reading.read(self._redis, key, branch)

    async def head(self, key: SessionKey) -> Reading | None:
        return await redis_reading.read(self._redis, key, None, messages=False)

    async def whole(self, key: SessionKey) -> Whole | None:
        return await redis_reading.whole(self._redis, key)

    async def put(self, key: SessionKey, new: Whole) -> bool:
        async with reached():
            # Entered first, as every session is: one that is entered and not there is put right by who reads the list.
            await send(self._redis, *self._index.entering(key.owner, key.session_id, new.record.active_us))
        stored = await redis_reading.put(self._redis, key, new, ttl_ms=self._ttl_ms)
        if stored:
            await self._noted(key, new.record.active_us, new.branches[new.head].count)
        return stored

    async def fork(self, key: SessionKey, new: NewBranch) -> Forked:
        args: list[Argument] = [new.name or "", state_text(new.state), new.of.record.created_us, new.of.base]
        args += [BRANCHES_AT_MOST, new.now_us, self._ttl_ms, int(new.select), nonce()]
        async with reached():
            told, *rest = await _FORK.run(self._redis, parts(key), *args)
        if told != b"forked":
            return Unforked(told.decode())
        name, active_us, count = rest
        await self._noted(key, active_us, count)
        return str(name.decode())

    async def select(self, key: SessionKey, branch: str, *, now_us: int) -> Literal["selected", "missing", "no_branch"]:
        async with reached():
            told, *rest = await _SELECT.run(self._redis, parts(key), branch, now_us, self._ttl_ms)
        if rest:
            await self._noted(key, *rest)
        return cast(Literal["selected", "missing", "no_branch"], told.decode())

    async def clear(self, key: SessionKey, *, now_us: int) -> bool:
        async with reached():
            active_us = await _CLEAR.run(self._redis, parts(key), now_us, self._ttl_ms)
        if active_us is None:
            return False
        await self._noted(key, active_us, 0)
        return True

    async def retitle(self, key: SessionKey, title: str) -> bool:
        async with reached():
            return bool(await _RETITLE.run(self._redis, parts(key), title))

    async def entitle(self, key: SessionKey, of: Record, title: str) -> bool:
        async with reached():
            return bool(await _ENTITLE.run(self._redis, parts(key), of.created_us, of.auto_title, title))

    async def delete(self, key: SessionKey) -> dict[str, int] | None:
        async with reached():
            told, active_us, _, *counts = await _DELETE.run(self._redis, parts(key), FOREVER_US, FOREVER_US)
        async with beside():
            await self._index.forget(key.owner, [(key.session_id, active_us)])
        return dict(zip(COUNTED, counts, strict=True)) if told == b"removed" else None

    async def page(self, owner: str, *, after: Place | None, count: int, now_us: int) -> Page:
        async with reached():
            found = await self._index.entries(owner, after, count)
            records = await self._records(owner, found.places)
            known = [(place, record) for place, record in zip(found.places, records, strict=True) if record]
            lost = [place for place, record in zip(found.places, records, strict=True) if record is None]
            gone = [(place.session_id, place.active_us) for place in lost if place.active_us < now_us - GRACE_US]
        async with beside():
            await self._index.forget(owner, gone)
        return Page(known, found.next)

    async def holding(self, keys: Sequence[SessionKey], words: str) -> set[SessionKey]:
        return await redis_matching.holding(self._redis, keys, words)

    async def remove_idle(self, owner: str, *, until_us: int, now_us: int, at_most: int | None = None) -> int:
        removed = seen = held = 0
        while at_most is None or seen < at_most:
            async with reached():
                places = await self._index.oldest(owner, until_us, BATCH, behind=held)
                if not places:
                    break
                told = await self._removed(owner, places, until_us, now_us)
            removed += told.count(b"removed")
            held += told.count(b"held")
            seen += len(places)
        return removed

    async def totals(self, owner: str) -> Totals:
        async with reached():
            return await self._index.totals(owner)

    async def _noted(self, key: SessionKey, active_us: int, count: int) -> None:
        async with beside():
            await self._index.note(key.owner, key.session_id, active_us, count)

    async def _records(self, owner: str, places: Sequence[Place]) -> list[Record | None]:
        """The session at each place, None where there is none any more; the index learns what it had missed."""
        if not places:
            return []
        ids = [place.session_id for place in places]
        asked: list[Command] = [self._index.known_counts(owner, ids)]
        asked += [("HMGET", part(SessionKey(owner, session_id), "meta"), *FIELDS) for session_id in ids]
        known, *rows = answered(await send_all(self._redis, asked))
        records = [record_of(session_id, row) for session_id, row in zip(ids, rows, strict=True)]
        async with beside():
            for record, value in zip(records, known, strict=True):
                if record and record.message_count and known_activity(value) < record.active_us:
                    await self._index.note(owner, record.session_id, record.active_us, record.message_count)
        return records

    async def _removed(self, owner: str, places: Sequence[Place], until_us: int, now_us: int) -> list[bytes]:
        """What became of each: `removed`, `missing`, `active` or `held`."""
        keys = [SessionKey(owner, place.session_id) for place in places]
        answers = await _DELETE.run_each(self._redis, [(parts(key), (until_us, now_us)) for key in keys])
        gone: list[tuple[str, int]] = []
        for place, (told, active_us, count, *_) in zip(places, answers, strict=True):
            match told:
                case b"active":  # the index had missed its last activity
                    await self._index.note(owner, place.session_id, active_us, count)
                case b"held":
                    pass
                case b"removed":  # and perhaps begun again meanwhile, which the index must keep
                    gone.append((place.session_id, active_us))
                case _:
                    gone.append((place.session_id, place.active_us))
        await self._index.forget(owner, gone)
        return [told for told, *_ in answers]
