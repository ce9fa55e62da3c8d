"""Redis killed, hung, restarted: known within two seconds, and over by itself."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from sage_contracts.errors import StoreUnavailable
from session_store.adapters.redis_durability import RedisDurability
from session_store.domain.branches import BranchState, NewBranch, Whole
from session_store.domain.openings import Held, Opening
from session_store.domain.records import MICROS, Record
from tests.fakes.redis_server import AWAY_SECONDS, RedisServer, redis_server
from tests.session_store.parts import NOON, Store, append, key, redis_client, redis_store, texts, turn_of

pytestmark = pytest.mark.slow

NOW = NOON * MICROS

WHOLE = Whole(record=Record(session_id="new", created_us=NOW, active_us=NOW), log=[], branches={"main": BranchState()})
HELD = Held("2", 1, "main")
OPENING = Opening(turn_id="2", opener="o", messages=(), now_us=NOW, lease_us=MICROS, newest=1)

OPERATIONS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "create": lambda store: store.sessions.create(key("new"), title="", now_us=NOW),
    "append": lambda store: append(store, key(), turn_of("2", "y")),
    "read": lambda store: store.sessions.read(key()),
    "clear": lambda store: store.sessions.clear(key(), now_us=NOW),
    "retitle": lambda store: store.sessions.retitle(key(), "x"),
    "delete": lambda store: store.sessions.delete(key()),
    "page": lambda store: store.sessions.page("local", after=None, count=5, now_us=NOW),
    "remove_idle": lambda store: store.sessions.remove_idle("local", until_us=NOW, now_us=NOW),
    "totals": lambda store: store.sessions.totals("local"),
    "whole": lambda store: store.sessions.whole(key()),
    "head": lambda store: store.sessions.head(key()),
    "put": lambda store: store.sessions.put(key("new"), WHOLE),
    "fork": lambda store: store.sessions.fork(key(), NewBranch(state=BranchState(), of=WHOLE, now_us=NOW)),
    "select": lambda store: store.sessions.select(key(), "main", now_us=NOW),
    "entitle": lambda store: store.sessions.entitle(key(), WHOLE.record, "x"),
    "holding": lambda store: store.sessions.holding([key()], "x"),
    "open": lambda store: store.turns.open(key(), OPENING),
    "leave": lambda store: store.turns.leave(key(), OPENING, "main"),
    "renew": lambda store: store.turns.renew(key(), HELD, until_us=NOW),
    "commit": lambda store: store.turns.commit(key(), HELD, turn_of("2", "y")),
    "abandon": lambda store: store.turns.abandon(key(), HELD),
    "window": lambda store: store.turns.window(key(), newest=5),
    "notes added": lambda store: store.shelves.add(key(), "facts", []),
    "notes": lambda store: store.shelves.all(key(), "facts"),
    "notes counted": lambda store: store.shelves.stocks([key()]),
}
"""Every way to Redis of the session-store's."""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as own:
        yield own


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[Store]:
    async with redis_client(server.url) as client:
        yield redis_store(client)


async def outcome(operation: Awaitable[object]) -> tuple[bool, float]:
    """Whether it said that the store is away, and after how many seconds."""
    began = time.monotonic()
    try:
        await operation
    except StoreUnavailable as error:
        return error.retry_after is not None, time.monotonic() - began
    return False, time.monotonic() - began


async def test_every_operation_says_within_two_seconds_that_redis_hangs(server: RedisServer, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    server.signal(signal.SIGSTOP)
    try:
        outcomes = await asyncio.gather(*(outcome(call(store)) for call in OPERATIONS.values()))
    finally:
        server.signal(signal.SIGCONT)

    assert {name for name, (told, _) in zip(OPERATIONS, outcomes, strict=True) if not told} == set()
    assert max(seconds for _, seconds in outcomes) < AWAY_SECONDS
    assert await store.sessions.read(key("s2")) is None


async def test_every_operation_says_at_once_that_redis_is_gone(server: RedisServer, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    server.kill()

    outcomes = await asyncio.gather(*(outcome(call(store)) for call in OPERATIONS.values()))

    assert {name for name, (told, _) in zip(OPERATIONS, outcomes, strict=True) if not told} == set()
    assert max(seconds for _, seconds in outcomes) < AWAY_SECONDS


async def test_a_restart_keeps_sessions_and_needs_nothing_done(server: RedisServer, store: Store) -> None:
    await append(store, key(), turn_of("1", "before"))
    await server.restart()

    repeated = await append(store, key(), turn_of("1", "before"))
    await append(store, key(), turn_of("2", "after"))

    found = await store.sessions.read(key())
    assert found is not None
    assert (repeated.repeated, texts(found.messages)) == (True, ["before", "after"])


async def test_what_a_hung_redis_answers_late_reaches_nobody(server: RedisServer, store: Store) -> None:
    """The requests lie in the server's buffers; their callers are gone when it answers at last."""
    for name in "abcdefgh":
        await append(store, key(name), turn_of("1", name))
    await asyncio.gather(*(store.sessions.read(key(name)) for name in "abcdefgh"))
    server.signal(signal.SIGSTOP)
    tasks = [asyncio.create_task(store.sessions.read(key(name))) for name in "abcdefgh"]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    server.signal(signal.SIGCONT)

    # The pool hands out the connection that came back last: in this order each caller meets another's late answer.
    found = await asyncio.gather(*(store.sessions.read(key(name)) for name in "abcdefgh"))

    assert [texts(pair.messages) for pair in found if pair] == [[name] for name in "abcdefgh"]


async def test_turns_sent_while_redis_dies_are_stored_once_or_not_told(server: RedisServer, store: Store) -> None:
    """The caller that was told nothing repeats its turn, with the same id."""

    async def insisted(number: int) -> None:
        turn = turn_of(str(number), f"q{number}")
        async with asyncio.timeout(60):
            while (await outcome(append(store, key(), turn)))[0]:
                await asyncio.sleep(0.05)

    talking = [asyncio.create_task(insisted(number)) for number in range(60)]
    await asyncio.sleep(0.01)
    await server.restart()
    await asyncio.gather(*talking)

    found = await store.sessions.read(key())
    assert found is not None
    assert sorted(map(str, texts(found.messages))) == sorted(f"q{number}" for number in range(60))


async def test_durability_is_judged_by_what_redis_says(server: RedisServer) -> None:
    async with redis_client(server.url) as client:
        durability = RedisDurability(client)
        good = await durability.check()
        await client.config_set("maxmemory-policy", "allkeys-lru")
        bad = await durability.check()
        await client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all", "-@dangerous"])
        untold = await durability.check()
        server.kill()
        away = await durability.check()

    assert (good.ok, good.detail) == (
        True,
        "appendonly is yes, maxmemory-policy is noeviction, appendfsync is always",
    )
    assert not bad.ok
    assert "maxmemory-policy is allkeys-lru" in (bad.detail or "")
    assert untold.ok
    assert "refused" in (untold.detail or "")
    assert not away.ok


@pytest.mark.parametrize(("allowed", "event"), [(True, "redis may lose sessions"), (False, "redis does not tell")])
async def test_a_redis_that_may_lose_sessions_is_warned_of_when_it_appears(
    server: RedisServer, caplog: pytest.LogCaptureFixture, allowed: bool, event: str
) -> None:
    async with redis_client(server.url) as client:
        await client.config_set("appendonly", "no")
        if not allowed:
            await client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all", "-@dangerous"])
        server.signal(signal.SIGSTOP)
        telling = asyncio.create_task(RedisDurability(client, retry_seconds=0.01).tell_once())
        await asyncio.sleep(0.05)
        server.signal(signal.SIGCONT)
        async with asyncio.timeout(30):
            await telling

    assert [record.message for record in caplog.records if record.message.startswith(event)]


async def test_a_safe_redis_is_not_warned_of(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with redis_client(server.url) as client:
        await RedisDurability(client).tell_once()

    assert caplog.records == []
