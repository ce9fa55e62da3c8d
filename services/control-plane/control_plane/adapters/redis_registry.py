"""The registry in Redis: one HASH of records, one of sightings, one version, changed together by one script."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import structs

from control_plane.domain.ports import LeaseLost
from control_plane.domain.records import Record, Sighting, Snapshot
from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client, send

log = logging.getLogger(__name__)

ENGINES = "sage:engines"
SEEN = "{sage:engines}:seen"
VERSION = "{sage:engines}:version"
LEADER = "{sage:engines}:leader"
"""The braces are a hash tag that is the name of the first key: scripts need all of them in one slot of a cluster."""

T = TypeVar("T")
Tell = Callable[[int], Awaitable[None]]
"""Told each new version, after it is kept."""

_SWAP = """
local id, old, new, json, fence = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local kept = redis.call('HGET', KEYS[1], id)
local function begins(text, with) return string.sub(text, 1, #with) == with end
if fence ~= '' and redis.call('GET', KEYS[4]) ~= fence then return 'lost' end
local repeated = new == '' and not kept or new ~= '' and kept and begins(kept, new)
if repeated then return redis.call('GET', KEYS[2]) or '0' end
if old == '' and kept then return 'other' end
if old ~= '' and not (kept and begins(kept, old)) then return 'other' end
if new == '' then
  redis.call('HDEL', KEYS[1], id)
  redis.call('HDEL', KEYS[3], id)
else
  redis.call('HSET', KEYS[1], id, json)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local version = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now)
local text = string.format('%.0f', version)
redis.call('SET', KEYS[2], text)
return text
"""
"""
Swap one record, if it is still the one the caller knew, and raise the version.

A record's JSON begins with its tag, so comparing beginnings compares tags. The version is at least the time in
milliseconds: were the data lost, versions would still grow, and no gateway would take the new fleet for an old one.
"""

_SNAPSHOT = "return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), redis.call('GET', KEYS[3])}"

_decode = msgspec.json.Decoder(Record).decode
_decode_sighting = msgspec.json.Decoder(Sighting).decode
_encode = msgspec.json.Encoder().encode


class RedisRegistry:
    def __init__(self, redis: Client, tell: Tell) -> None:
        self._redis = redis
        self._tell = tell

    async def snapshot(self) -> Snapshot:
        async with reached():
            records, sightings, version = await send(self._redis, "EVAL", _SNAPSHOT, 3, ENGINES, SEEN, VERSION)
        return Snapshot(int(version or 0), _read(_pairs(records), _decode), _read(_pairs(sightings), _decode_sighting))

    async def swap(self, *, old: Record | None, new: Record | None, fence: str | None = None) -> Record | None:
        told = None if new is None else structs.replace(new, tag=secrets.token_hex(8))
        known = old or new
        if known is None:
            return None
        args: list[Argument] = [
            known.engine_id,
            _beginning(old),
            _beginning(told),
            _encode(told) if told else b"",
            fence or "",
        ]
        async with reached():
            answer: bytes = await send(self._redis, "EVAL", _SWAP, 4, ENGINES, VERSION, SEEN, LEADER, *args)
        match answer:
            case b"lost":
                raise LeaseLost
            case b"other":
                return None
        await self._tell(int(answer))
        return told or old

    async def note(self, sightings: Mapping[str, Sighting]) -> None:
        if not sightings:
            return
        fields: list[Argument] = [part for name, seen in sightings.items() for part in (name, _encode(seen))]
        async with reached():
            await send(self._redis, "HSET", SEEN, *fields)


def _beginning(record: Record | None) -> bytes:
    return b"" if record is None else b'{"tag":"%b"' % record.tag.encode()


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _read(kept: Mapping[bytes, bytes], decode: Callable[[bytes], T]) -> dict[str, T]:
    """What can be read: an entry written by a version we do not understand must not hide the others."""
    found: dict[str, T] = {}
    for name, text in sorted(kept.items()):
        try:
            found[name.decode()] = decode(text)
        except msgspec.MsgspecError:
            log.exception("registry entry not understood", extra={"engine": name.decode("utf-8", "replace")})
    return found
