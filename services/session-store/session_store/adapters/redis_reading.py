"""Sessions on Redis read and stored as a whole: one branch, or all of them."""

import itertools
from collections.abc import Mapping, Sequence

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client
from session_store.adapters.redis_branches import (
    FIELDS,
    choice_of,
    choice_text,
    encode,
    messages_of,
    record_of,
    state_of,
    state_text,
)
from session_store.adapters.redis_keys import parts
from session_store.adapters.redis_scripts import nonce, session_script
from session_store.domain import ranges as within
from session_store.domain.branches import BranchState, Reading, UnderWay, Whole
from session_store.domain.ranges import Range, Ranges
from session_store.domain.records import Record, SessionKey

_READ, _WHOLE, _PUT = session_script("read"), session_script("whole"), session_script("put")
_FURTHER = session_script("further")

Fields = Mapping[bytes, bytes]


async def read(redis: Client, key: SessionKey, branch: str | None, *, messages: bool = True) -> Reading | None:
    async with reached():
        answer = await _READ.run(redis, parts(key), branch or "", int(messages))
    if answer is None or (record := _record(key, fields := _fields(answer[0]))) is None:
        return None
    _, base, name, text, lines, held = answer
    state = state_of(text) if text is not None else None
    wanted = state.ranges if state is not None and messages else ()
    if not await _completed(redis, key, (record.created_us, base), wanted, lines):
        return await read(redis, key, branch)
    under_way = [
        UnderWay(on.decode(), turn_id.decode(), since_us, messages_of(asked)) for on, turn_id, since_us, asked in held
    ]
    branches = _branches(fields)
    if not branches and state is not None:
        branches = {name.decode(): state}
    return Reading(
        record=record,
        branch=name.decode(),
        state=state,
        messages=messages_of(lines),
        branches=branches,
        head=_head(fields),
        under_way=under_way,
        choice=choice_of(fields.get(b"memory", b"")),
    )


async def whole(redis: Client, key: SessionKey) -> Whole | None:
    async with reached():
        answer = await _WHOLE.run(redis, parts(key))
    if answer is None or (record := _record(key, fields := _fields(answer[0]))) is None:
        return None
    _, base, behind, main, lines = answer
    if not await _completed(redis, key, (record.created_us, base), (Range(base, behind),), lines):
        return await whole(redis, key)
    return Whole(
        record=record,
        log=messages_of(lines),
        branches={"main": state_of(main)} | _branches(fields),
        base=base,
        head=_head(fields),
        choice=choice_of(fields.get(b"memory", b"")),
    )


async def put(redis: Client, key: SessionKey, new: Whole, *, ttl_ms: int) -> bool:
    record, head = new.record, new.branches[new.head]
    fields: dict[str, Argument] = {
        "created_us": record.created_us,
        "active_us": record.active_us,
        "title": record.title,
        "messages": head.count,
        "dialogs": head.dialogs,
        "appended": new.base + len(new.log),
        "head": new.head,
        **{f"b:{name}": state_text(state) for name, state in new.branches.items()},
    }
    told: dict[str, Argument] = {"auto_title": record.auto_title, "memory": choice_text(new.choice)}
    fields |= {name: value for name, value in told.items() if value}
    flat: list[Argument] = list(itertools.chain.from_iterable(fields.items()))
    async with reached():
        return bool(await _PUT.run(redis, parts(key), ttl_ms, nonce(), len(fields), *flat, *map(encode, new.log)))


async def _completed(redis: Client, key: SessionKey, of: tuple[int, int], ranges: Ranges, lines: list[bytes]) -> bool:
    """
    Read what `lines`, the first messages at `ranges`, lack. What stands there never changes, so that this is one moment
    still; False when the session `of` this beginning and base was cleared or deleted meanwhile. What the log has lost
    is left out.
    """
    while len(lines) < within.count(ranges):
        async with reached():
            more = await _FURTHER.run(redis, parts(key), *of, within.written(ranges), len(lines))
        if more is None:
            return False
        if not more:
            break
        lines += more
    return True


def _fields(flat: Sequence[bytes]) -> Fields:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _record(key: SessionKey, fields: Fields) -> Record | None:
    return record_of(key.session_id, [fields.get(name.encode()) for name in FIELDS])


def _head(fields: Fields) -> str:
    return fields.get(b"head", b"main").decode()


def _branches(fields: Fields) -> dict[str, BranchState]:
    return {name[2:].decode(): state_of(value) for name, value in fields.items() if name.startswith(b"b:")}
