"""Sessions on Redis or Valkey: a HASH and a LIST of JSON each, and what `redis_keys` names; changed by Lua scripts."""

from collections.abc import Sequence

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client, Command, answered, send_all
from sage_contracts.sessions import Message
from session_store.adapters.redis_branches import FIELDS, encode, messages_of, record_of, turn_key
from session_store.adapters.redis_index import RedisIndex, beside, known_activity
from session_store.adapters.redis_keys import part, parts
from session_store.adapters.redis_scripts import session_script
from session_store.domain.openings import REMEMBERED_TURNS
from session_store.domain.records import Appended, NewTurn, Page, Place, Record, SessionKey, Totals

GRACE_US = 60_000_000
"""An index entry without a session is left alone so long: the session may be about to be written."""

BATCH = 100
FOREVER_US = 2**53

_CREATE, _APPEND, _READ = session_script("create"), session_script("append"), session_script("read")
_CLEAR, _RETITLE, _DELETE = session_script("clear"), session_script("retitle"), session_script("delete")


class RedisSessions:
    """
    Implements StoredSessions. `ttl_ms` is how long a session lives without activity; 0 is for ever.

    All keys of a session share a hash tag and expire together. They are the truth; the index of an owner's sessions
    has another tag, is written beside them and repaired when read.
    """

    def __init__(self, redis: Client, *, ttl_ms: int) -> None:
        self._redis = redis
        self._ttl_ms = ttl_ms
        self._index = RedisIndex(redis)

    async def create(self, key: SessionKey, *, title: str, now_us: int) -> None:
        entering = self._index.entering(key.owner, key.session_id, now_us)
        call = (parts(key), (now_us, self._ttl_ms, title, ""))
        async with reached():
            await _CREATE.run_each(self._redis, [call], before=[entering])

    async def append(self, key: SessionKey, turn: NewTurn) -> Appended:
        entering = self._index.entering(key.owner, key.session_id, turn.now_us)
        args: list[Argument] = [turn_key(turn.turn_id), turn.now_us, self._ttl_ms, REMEMBERED_TURNS, turn.auto_title]
        args += [turn.dialogs, turn.instructions, turn.fixed_from, turn.fixed_count]
        call = (parts(key), [*args, *map(encode, turn.messages)])
        async with reached():
            ((repeated, active_us, count, told),) = await _APPEND.run_each(self._redis, [call], before=[entering])
        async with beside():
            await self._index.note(key.owner, key.session_id, active_us, count)
        return Appended(message_count=told, repeated=bool(repeated))

    async def read(self, key: SessionKey) -> tuple[Record, list[Message]] | None:
        async with reached():
            answer = await _READ.run(self._redis, parts(key), "")
        if answer is None:
            return None
        flat, _, _, lines, _ = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        record = record_of(key.session_id, [fields.get(name.encode()) for name in FIELDS])
        return None if record is None else (record, messages_of(lines))

    async def clear(self, key: SessionKey, *, now_us: int) -> bool:
        async with reached():
            active_us = await _CLEAR.run(self._redis, parts(key), now_us, self._ttl_ms)
        if active_us is None:
            return False
        async with beside():
            await self._index.note(key.owner, key.session_id, active_us, 0)
        return True

    async def retitle(self, key: SessionKey, title: str) -> bool:
        async with reached():
            return bool(await _RETITLE.run(self._redis, parts(key), title))

    async def delete(self, key: SessionKey) -> bool:
        async with reached():
            told, active_us, *_ = await _DELETE.run(self._redis, parts(key), FOREVER_US)
        async with beside():
            await self._index.forget(key.owner, [(key.session_id, active_us)])
        return bool(told == b"removed")

    async def page(self, owner: str, *, after: Place | None, count: int, now_us: int) -> Page:
        async with reached():
            found = await self._index.entries(owner, after, count)
            records = await self._records(owner, found.places)
            known = [(place, record) for place, record in zip(found.places, records, strict=True) if record]
            lost = [place for place, record in zip(found.places, records, strict=True) if record is None]
            gone = [(place.session_id, place.active_us) for place in lost if place.active_us < now_us - GRACE_US]
            await self._index.forget(owner, gone)
        return Page(known, found.next)

    async def remove_idle(self, owner: str, *, until_us: int, at_most: int | None = None) -> int:
        removed = seen = 0
        while at_most is None or seen < at_most:
            async with reached():
                places = await self._index.oldest(owner, until_us, BATCH)
                if not places:
                    break
                removed += await self._removed(owner, places, until_us)
            seen += len(places)
        return removed

    async def totals(self, owner: str) -> Totals:
        async with reached():
            return await self._index.totals(owner)

    async def _records(self, owner: str, places: Sequence[Place]) -> list[Record | None]:
        """The session at each place, None where there is none any more; the index learns what it had missed."""
        if not places:
            return []
        ids = [place.session_id for place in places]
        asked: list[Command] = [self._index.known_counts(owner, ids)]
        asked += [("HMGET", part(SessionKey(owner, session_id), "meta"), *FIELDS) for session_id in ids]
        known, *rows = answered(await send_all(self._redis, asked))
        records = [record_of(session_id, row) for session_id, row in zip(ids, rows, strict=True)]
        for record, value in zip(records, known, strict=True):
            if record and record.message_count and known_activity(value) < record.active_us:
                await self._index.note(owner, record.session_id, record.active_us, record.message_count)
        return records

    async def _removed(self, owner: str, places: Sequence[Place], until_us: int) -> int:
        calls = [(parts(SessionKey(owner, place.session_id)), (until_us,)) for place in places]
        answers = await _DELETE.run_each(self._redis, calls)
        gone: list[tuple[str, int]] = []
        for place, (told, active_us, count, *_) in zip(places, answers, strict=True):
            match told:
                case b"active":  # the index had missed its last activity
                    await self._index.note(owner, place.session_id, active_us, count)
                case b"removed":  # and perhaps begun again meanwhile, which the index must keep
                    gone.append((place.session_id, active_us))
                case _:
                    gone.append((place.session_id, place.active_us))
        await self._index.forget(owner, gone)
        return sum(told == b"removed" for told, *_ in answers)
