"""
The list of an owner's sessions on Redis, newest first, and how many messages they hold together.

It has a hash slot of its own, so no script changes it together with a session. It stays right all the same: a session
is entered before its first message is written, entries are numbered by the session's own activity so that late or
repeated news does no harm, and whoever reads an entry that is wrong puts it right.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client, answered, send, send_all
from sage_contracts.errors import StoreUnavailable
from session_store.adapters.redis_scripts import Script
from session_store.domain.records import Place, Totals

log = logging.getLogger(__name__)

_TOTAL = "/total"
"""The field that holds the sum of all others; no session can be called so."""

SOON_SECONDS = 0.01
"""How long news are gathered before they are told: after the turn's own answer is on its way."""

_NOTE, _FORGET = Script("note"), Script("forget")


@dataclass(frozen=True, slots=True)
class Entries:
    places: Sequence[Place]
    next: Place | None


class RedisIndex:
    """
    `sage:sessions:{<owner>}` is a ZSET by last activity, `…:counts` a HASH of "<activity> <messages>".

    What a turn changes is told `soon`, so that its client need not wait for it; whoever reads here tells it first.
    """

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._soon: dict[tuple[str, str], tuple[int, int]] = {}
        self._has_news = asyncio.Event()

    def entering(self, owner: str, session_id: str, now_us: int) -> tuple[Argument, ...]:
        """The command that enters a session before it is written to; one that is there stays where it is."""
        return ("ZADD", _index(owner), "NX", now_us, session_id)

    async def note(self, owner: str, session_id: str, active_us: int, count: int) -> None:
        await _NOTE.run(self._redis, _keys(owner), session_id, active_us, count)

    def soon(self, owner: str, session_id: str, active_us: int, count: int) -> None:
        """As `note`, but by `run`, and once for all that a session has become meanwhile."""
        self._soon[owner, session_id] = max((active_us, count), self._soon.get((owner, session_id), (0, 0)))
        self._has_news.set()

    async def told(self) -> None:
        """
        Return when all that was to be told has been. What is on its way is told again, which does no harm; what Redis
        refuses is given up: a later reader puts the index right.
        """
        news = dict(self._soon)
        if not news:
            return
        calls = [(_keys(owner), (session_id, *how)) for (owner, session_id), how in news.items()]
        try:
            await _NOTE.run_each(self._redis, calls)
        except ResponseError as error:
            log.warning("index not updated", extra={"error": str(error)})
        for key, how in news.items():
            if self._soon.get(key) == how:
                del self._soon[key]

    async def run(self) -> None:
        """Tell what is to be told soon, for as long as the service lives."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            await asyncio.sleep(SOON_SECONDS)
            async with beside():
                await self.told()

    async def forget(self, owner: str, gone: Sequence[tuple[str, int]]) -> None:
        """Take out each session that has not been active after the time beside it."""
        await self.told()
        if gone:
            await _FORGET.run_each(self._redis, [(_keys(owner), pair) for pair in gone])

    async def entries(self, owner: str, after: Place | None, count: int) -> Entries:
        await self.told()
        key = _index(owner)
        if after is None:
            top, skipped = "+inf", 0
        else:
            # Sessions may share a time: those of the cursor's own are fetched again and passed over by id.
            top = str(after.active_us)
            skipped = await send(self._redis, "ZCOUNT", key, top, top)
        limits = ("BYSCORE", "REV", "LIMIT", 0, count + 1 + skipped)
        places = _places(await send(self._redis, "ZRANGE", key, top, "-inf", *limits, "WITHSCORES"))
        if after is not None:
            places = [place for place in places if place < after]
        return Entries(places[:count], places[count - 1] if len(places) > count else None)

    async def oldest(self, owner: str, until_us: int, count: int, *, behind: int = 0) -> list[Place]:
        """Without the first `behind`."""
        await self.told()
        limits = ("BYSCORE", "LIMIT", behind, count, "WITHSCORES")
        return _places(await send(self._redis, "ZRANGE", _index(owner), "-inf", until_us, *limits))

    def known_counts(self, owner: str, session_ids: Sequence[str]) -> tuple[Argument, ...]:
        """The command that reads what the index knows of these sessions, each as `known_activity` reads it."""
        return ("HMGET", f"{_index(owner)}:counts", *session_ids)

    async def totals(self, owner: str) -> Totals:
        await self.told()
        asked = [("ZCARD", _index(owner)), ("HGET", f"{_index(owner)}:counts", _TOTAL)]
        sessions, messages = answered(await send_all(self._redis, asked))
        return Totals(sessions=sessions, messages=max(0, int(messages or 0)))


@asynccontextmanager
async def beside() -> AsyncGenerator[None]:
    """What is told to the index after a session has changed: when it fails, a later reader puts the index right."""
    try:
        async with reached():
            yield
    except StoreUnavailable as error:
        log.warning("index not updated", extra={"error": error.message})


def known_activity(value: bytes | None) -> int:
    """When the session was last active as far as the index has been told; 0 when it has not."""
    return int(value.partition(b" ")[0]) if value else 0


def _index(owner: str) -> str:
    return f"sage:sessions:{{{owner}}}"


def _keys(owner: str) -> tuple[str, str]:
    return _index(owner), f"{_index(owner)}:counts"


def _places(rows: Sequence[Any]) -> list[Place]:
    """RESP3 answers pairs, RESP2 a flat list."""
    if rows and not isinstance(rows[0], list | tuple):
        rows = list(zip(rows[::2], rows[1::2], strict=True))
    return [Place(int(float(score)), member.decode()) for member, score in rows]
