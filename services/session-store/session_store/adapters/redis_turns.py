"""Turns on Redis or Valkey: each step is one script over the keys of their session."""

from typing import Literal, cast

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client
from session_store.adapters.redis_branches import (
    choice_of,
    digest_key,
    encode,
    messages_of,
    turn_key,
    window_of,
)
from session_store.adapters.redis_index import RedisIndex, beside
from session_store.adapters.redis_keys import parts
from session_store.adapters.redis_scripts import session_script
from session_store.domain.openings import (
    BRANCHES_AT_MOST,
    REMEMBERED_TURNS,
    SEEN_WITHIN_US,
    Answered,
    Busy,
    CommitOutcome,
    Held,
    Opened,
    Opening,
    Outcome,
    Refused,
    Stored,
)
from session_store.domain.records import NewTurn, SessionKey, Window

_OPEN, _COMMIT, _RENEW = session_script("open"), session_script("commit"), session_script("renew")
_ABANDON, _WINDOW = session_script("abandon"), session_script("window")


class RedisTurns:
    """Implements StoredTurns. `ttl_ms` is how long a session lives without activity; 0 is for ever."""

    def __init__(self, redis: Client, index: RedisIndex, *, ttl_ms: int) -> None:
        self._redis = redis
        self._index = index
        self._ttl_ms = ttl_ms

    async def open(self, key: SessionKey, opening: Opening) -> Outcome:
        entering = self._index.entering(key.owner, key.session_id, opening.now_us)
        async with reached():
            (answer,) = await _OPEN.run_each(self._redis, [(parts(key), self._asked(opening))], before=[entering])
        match answer:
            case [b"opened", branch, token, *window, active_us, count]:
                self._index.soon(key.owner, key.session_id, active_us, count)
                return Opened(token, window_of([branch, *window]))
            case [b"busy", branch, turn_id, since_us, ahead, is_itself]:
                return Busy(branch.decode(), turn_id.decode(), since_us, ahead, bool(is_itself))
            case [b"answered", branch, *lines]:
                return Answered(branch.decode(), messages_of(lines))
            case [b"no_branch", 0]:
                async with beside():
                    await self._index.forget(key.owner, [(key.session_id, opening.now_us)])
                return Refused("no_branch")
            case _:
                return Refused(answer[0].decode())

    async def leave(self, key: SessionKey, opening: Opening, branch: str) -> None:
        await self._given_up(key, turn_key(opening.turn_id), "", "", opening.opener, branch)

    async def renew(self, key: SessionKey, held: Held, *, until_us: int) -> Literal["renewed", "missing", "lost"]:
        async with reached():
            told = await _RENEW.run(self._redis, parts(key), *_named(held), until_us, self._ttl_ms)
        return cast(Literal["renewed", "missing", "lost"], told.decode())

    async def commit(self, key: SessionKey, held: Held, turn: NewTurn) -> CommitOutcome:
        args: list[Argument] = [*_named(held), turn.now_us, self._ttl_ms, REMEMBERED_TURNS, turn.auto_title]
        args += [turn.dialogs, turn.instructions, turn.fixed_from, turn.fixed_count, "i" if turn.interrupted else "d"]
        async with reached():
            answer = await _COMMIT.run(self._redis, parts(key), *args, *map(encode, turn.messages))
        match answer:
            case [b"stored" | b"repeated" as told, active_us, count, message_count, first, choice, created_us, *lines]:
                self._index.soon(key.owner, key.session_id, active_us, count)
                repeated = told == b"repeated"
                return Stored(
                    message_count=message_count,
                    first=first,
                    repeated=repeated,
                    messages=messages_of(lines) if repeated else turn.messages,
                    created_us=created_us,
                    choice=choice_of(choice),
                )
            case [b"missing"]:
                return "missing"
            case _:
                return "lost"

    async def abandon(self, key: SessionKey, held: Held) -> bool:
        return await self._given_up(key, turn_key(held.turn_id), held.branch, str(held.token), "", "")

    async def window(self, key: SessionKey, *, newest: int, branch: str | None = None) -> Window:
        async with reached():
            row = await _WINDOW.run(self._redis, parts(key), newest, branch or "")
        return Window(0, 0, (), ()) if row is None else window_of(row)

    async def _given_up(self, key: SessionKey, *args: str) -> bool:
        async with reached():
            told, active_us, count = await _ABANDON.run(self._redis, parts(key), *args)
        async with beside():
            if told == b"removed":
                await self._index.forget(key.owner, [(key.session_id, active_us)])
            elif told == b"abandoned" and count:
                self._index.soon(key.owner, key.session_id, active_us, count)
        return bool(told != b"not_open")

    def _asked(self, opening: Opening) -> list[Argument]:
        return [
            opening.on_conflict,
            turn_key(opening.turn_id),
            digest_key(opening.digest),
            opening.branch or "",
            opening.now_us,
            self._ttl_ms,
            opening.lease_us,
            opening.newest,
            opening.opener,
            opening.now_us - SEEN_WITHIN_US,
            BRANCHES_AT_MOST,
            REMEMBERED_TURNS,
            opening.turn_id,
            opening.auto_title,
            *map(encode, opening.messages),
        ]


def _named(held: Held) -> tuple[Argument, ...]:
    return turn_key(held.turn_id), held.token, held.branch
