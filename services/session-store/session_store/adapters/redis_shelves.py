"""Notes on Redis or Valkey: a HASH a shelf, among the keys of their session."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client, answered, send, send_all
from session_store.adapters.redis_branches import choice_of
from session_store.adapters.redis_keys import PARTS, part, parts
from session_store.adapters.redis_scripts import session_script
from session_store.domain.memory.notes import Note, Shelf
from session_store.domain.memory.shelves import NOTES_AT_MOST, Stock
from session_store.domain.records import SessionKey

SHELVES: tuple[Shelf, ...] = ("facts", "relations", "summaries", "memory")

SESSIONS_AT_ONCE = 100
"""Each takes five commands, which a cluster is sent one by one."""

_SHELVE = session_script("shelve")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


class RedisShelves:
    """Implements Shelves."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def add(self, key: SessionKey, shelf: Shelf, notes: Sequence[Note], *, created_us: int | None = None) -> bool:
        args: list[Argument] = [PARTS.index(shelf) + 1, created_us or ""]
        for note in notes:
            args += [note.field, _encode(note)]
        async with reached():
            there = await _SHELVE.run(self._redis, parts(key), *args)
        if there is None:
            return False
        if there > NOTES_AT_MOST:
            await self._give_up(key, shelf, there - NOTES_AT_MOST)
        return True

    async def all(self, key: SessionKey, shelf: Shelf) -> list[Note]:
        async with reached():
            lines = await send(self._redis, "HVALS", part(key, shelf))
        return [_decode(line) for line in lines]

    async def remove(self, key: SessionKey, shelf: Shelf, item_id: str) -> int:
        fields = [note.field for note in await self.all(key, shelf) if note.id == item_id]
        if not fields:
            return 0
        async with reached():
            return int(await send(self._redis, "HDEL", part(key, shelf), *fields))

    async def stocks(self, keys: Sequence[SessionKey]) -> list[Stock]:
        found: list[Any] = []
        for first in range(0, len(keys), SESSIONS_AT_ONCE):
            commands: list[list[Argument]] = []
            for key in keys[first : first + SESSIONS_AT_ONCE]:
                commands.append(["HGET", part(key, "meta"), "memory"])
                commands += [["HLEN", part(key, shelf)] for shelf in SHELVES]
            async with reached():
                found += answered(await send_all(self._redis, commands))
        rows = [found[at : at + 1 + len(SHELVES)] for at in range(0, len(found), 1 + len(SHELVES))]
        return [_stock(row) for row in rows]

    async def _give_up(self, key: SessionKey, shelf: Shelf, number: int) -> None:
        oldest = sorted(await self.all(key, shelf), key=lambda note: note.order)[:number]
        async with reached():
            await send(self._redis, "HDEL", part(key, shelf), *[note.field for note in oldest])


def _stock(row: Sequence[Any]) -> Stock:
    choice, *counts = row
    return Stock(choice_of(choice or b""), dict(zip(SHELVES, counts, strict=True)))
