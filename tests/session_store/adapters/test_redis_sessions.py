"""What only Redis can get wrong: expiry, scripts forgotten, an index that is told too little, answers mixed up."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs
from redis.asyncio import Redis
from redis.crc import key_slot

from sage_chassis.redis_commands import send
from sage_contracts.errors import StoreUnavailable
from sage_contracts.turns import INTERRUPTED, CommitTurn, HeldTurn, OpenTurn
from session_store.adapters.redis_branches import encode
from session_store.adapters.redis_index import RedisIndex
from session_store.adapters.redis_keys import parts
from session_store.adapters.redis_scripts import session_script
from session_store.adapters.redis_sessions import GRACE_US
from session_store.domain.branches import BranchState
from session_store.domain.ranges import Range
from session_store.domain.records import MICROS, Totals
from tests.session_store.parts import (
    NOON,
    Store,
    append,
    desk_over,
    key,
    redis_client,
    redis_store,
    said,
    texts,
    turn_of,
)

NOW = NOON * MICROS
LATER = NOW + GRACE_US + 10


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with redis_client(redis_url) as client:
        yield client


@pytest.fixture
def store(redis: Redis) -> Store:
    return redis_store(redis)


async def names(redis: Redis, pattern: str) -> set[str]:
    return {name.decode() async for name in redis.scan_iter(pattern)}


async def listed(store: Store, now_us: int = LATER) -> list[str]:
    page = await store.sessions.page("local", after=None, count=100, now_us=now_us)
    return [record.session_id for _, record in page.entries]


async def test_all_keys_of_a_session_share_a_slot_and_all_of_an_index_another(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    await listed(store)

    of_session = await names(redis, "sage:session:*")
    of_index = await names(redis, "sage:sessions:*")

    assert of_session == {f"sage:session:{{local/s1}}:{part}" for part in ("meta", "messages", "known")}
    assert of_index == {"sage:sessions:{local}", "sage:sessions:{local}:counts"}
    assert len({key_slot(name.encode()) for name in of_session}) == 1
    assert len({key_slot(name.encode()) for name in of_index}) == 1


async def test_a_deleted_session_leaves_no_key(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    await store.sessions.delete(key())

    assert await names(redis, "sage:*") == {"sage:sessions:{local}:counts"}
    assert await redis.hgetall("sage:sessions:{local}:counts") == {b"/total": b"0"}


@pytest.mark.parametrize("change", ["append", "clear"])
async def test_every_activity_sets_one_expiry_on_all_keys(redis: Redis, change: str) -> None:
    store = redis_store(redis, ttl_ms=100_000)
    await store.sessions.create(key(), title="", now_us=NOW)
    await append(store, key(), turn_of("1", "x"))
    of_session = sorted(await names(redis, "sage:session:*"))
    for name in of_session:
        await redis.pexpire(name, 50_000)
    if change == "append":
        await append(store, key(), turn_of("2", "x"))
    else:
        await store.sessions.clear(key(), now_us=NOW)

    left = {await redis.pexpiretime(name) for name in of_session} - {-2}

    assert len(left) == 1
    assert await redis.pttl("sage:session:{local/s1}:meta") > 90_000


async def test_a_turn_that_is_put_back_cut_short_expires_with_its_session(redis: Redis) -> None:
    desk = desk_over(redis_store(redis, ttl_ms=100_000))
    asked = OpenTurn(turn_id="1", messages=[said("user")], digest="d")
    cut = [said("user"), said("assistant", metadata={"finish_reason": INTERRUPTED})]
    first = await desk.turns.open("local", "s1", asked)
    await desk.turns.commit("local", "s1", CommitTurn(turn_id="1", token=first.token, branch="main", messages=cut))
    again = await desk.turns.open("local", "s1", asked)
    await desk.turns.abandon("local", "s1", HeldTurn(turn_id="1", token=again.token, branch="main"))

    left = [await redis.pttl(name) for name in parts(key()) if await redis.exists(name)]

    assert len(left) == 3
    assert max(left) - min(left) < 10


async def test_without_a_limit_nothing_expires_any_more(redis: Redis) -> None:
    await append(redis_store(redis, ttl_ms=100_000), key(), turn_of("1", "x"))
    await append(redis_store(redis), key(), turn_of("2", "x"))

    assert {await redis.pttl(name) for name in await names(redis, "sage:session:*")} == {-1}


async def test_an_expired_session_is_gone_and_leaves_the_list(redis: Redis) -> None:
    store = redis_store(redis, ttl_ms=30)
    await append(store, key(), turn_of("1", "x", "y"))
    await store.sessions.create(key("empty"), title="", now_us=NOW)
    async with asyncio.timeout(30):
        while await names(redis, "sage:session:*"):
            await asyncio.sleep(0.01)

    found = await listed(store, NOW + 2 * GRACE_US)

    assert (await store.sessions.read(key()), found) == (None, [])
    assert await store.sessions.totals("local") == Totals(0, 0)
    assert not (await append(store, key(), turn_of("1", "x"))).repeated


async def test_an_entry_whose_session_may_yet_be_written_is_passed_over_but_kept(redis: Redis, store: Store) -> None:
    await redis.zadd("sage:sessions:{local}", {"coming": NOW})

    assert await listed(store, NOW + GRACE_US - 1) == []
    assert await redis.zcard("sage:sessions:{local}") == 1
    assert await listed(store, NOW + GRACE_US + 1) == []
    assert await redis.zcard("sage:sessions:{local}") == 0


async def test_an_index_that_missed_a_turn_is_put_right_by_its_next_reader(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    await listed(store)
    before = await redis.hgetall("sage:sessions:{local}:counts")
    await append(store, key(), turn_of("2", "x", "y"))
    await listed(store)
    for name, value in before.items():
        await redis.hset("sage:sessions:{local}:counts", name, value)

    missed = await store.sessions.totals("local")
    await listed(store)

    assert (missed, await store.sessions.totals("local")) == (Totals(1, 1), Totals(1, 3))


async def test_news_told_late_or_twice_does_not_count_again(redis: Redis, store: Store) -> None:
    index = RedisIndex(redis)
    await index.note("local", "s1", NOW + 5, 4)
    await index.note("local", "s1", NOW + 5, 4)
    await index.note("local", "s1", NOW + 2, 2)
    await index.forget("local", [("s1", NOW + 4)])

    assert await store.sessions.totals("local") == Totals(1, 4)


async def test_removal_spares_a_session_that_the_index_thinks_idle(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x", now_us=NOW + 100))
    await redis.zadd("sage:sessions:{local}", {"s1": NOW - 100})

    assert await store.sessions.remove_idle("local", until_us=NOW, now_us=NOW) == 0
    assert await redis.zscore("sage:sessions:{local}", "s1") == NOW + 101


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
async def test_after_any_race_the_index_holds_exactly_the_sessions_that_exist(
    redis: Redis, store: Store, seed: int
) -> None:
    """Turns, deletions, clears and removals of the same few sessions at once, then one reading of the list."""
    chance = random.Random(seed)
    ticks = itertools.count(NOW)

    async def anything(number: str) -> None:
        session, now_us = key(f"s{chance.randrange(5)}"), next(ticks)
        match chance.randrange(8):
            case 0 | 1:
                await store.sessions.delete(session)
            case 2:
                await store.sessions.clear(session, now_us=now_us)
            case 3:
                await store.sessions.remove_idle("local", until_us=now_us - chance.randrange(20), now_us=now_us)
            case _:
                await append(store, session, turn_of(number, "x", "y", now_us=now_us), now=lambda: next(ticks))

    for turn in range(10):
        await asyncio.gather(*(anything(f"{turn}-{number}") for number in range(40)))
    found = await listed(store, NOW + 2 * GRACE_US)

    exist = {name.split("/")[1].split("}")[0] for name in await names(redis, "sage:session:*:meta")}
    messages = [await redis.llen(f"sage:session:{{local/{name}}}:messages") for name in exist]
    assert set(found) == exist
    assert await store.sessions.totals("local") == Totals(len(exist), sum(messages))


async def test_a_lost_session_is_swept_out_of_the_index(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    await redis.delete("sage:session:{local/s1}:meta", "sage:session:{local/s1}:messages")

    assert await store.sessions.remove_idle("local", until_us=LATER, now_us=NOW) == 0
    assert await store.sessions.totals("local") == Totals(0, 0)
    assert await names(redis, "sage:session:*") == set()


async def test_scripts_that_the_server_forgot_are_told_it_again(redis: Redis, store: Store) -> None:
    await redis.script_flush()
    await append(store, key(), turn_of("1", "x"))
    await redis.script_flush()

    assert await store.sessions.read(key()) is not None
    await redis.script_flush()
    assert (await append(store, key(), turn_of("1", "x"))).repeated
    await redis.script_flush()
    assert await store.sessions.remove_idle("local", until_us=LATER, now_us=NOW) == 1


async def test_a_full_redis_stores_nothing_by_halves(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    before = {name: await redis.dump(name) for name in await names(redis, "sage:session:*")}
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable):
            await append(store, key(), turn_of("2", "y"))
    finally:
        await redis.config_set("maxmemory", 0)

    assert {name: await redis.dump(name) for name in await names(redis, "sage:session:*")} == before
    assert not (await append(store, key(), turn_of("2", "y"))).repeated


@pytest.mark.slow
async def test_a_session_that_names_a_turn_no_branch_holds_is_read_and_deleted(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    await redis.hset("sage:session:{local/s1}:pending", "/2", "main")

    found = await store.sessions.read(key())
    removed = await store.sessions.delete(key())

    assert found is not None
    assert (texts(found.messages), found.under_way) == (["x"], [])
    assert removed is not None


async def test_more_callers_than_connections_wait_their_turn(redis_url: str) -> None:
    async with redis_client(redis_url, max_connections=4) as client:
        store = redis_store(client)
        await asyncio.gather(*(append(store, key(), turn_of(str(number), "x")) for number in range(50)))

        assert await store.sessions.totals("local") == Totals(1, 50)


async def test_cancelled_calls_never_hand_their_answer_to_another(redis: Redis, redis_url: str) -> None:
    """
    CVE-2023-28858: a call cancelled while it waited left its answer on the connection, for the next caller.

    A script keeps the server busy for a while, so that many are cancelled just then.
    """
    chance = random.Random(7)
    owners = [f"owner{number}" for number in range(20)]
    async with redis_client(redis_url, max_connections=8) as client:
        store = redis_store(client)
        for owner in owners:
            await append(store, key(owner=owner), turn_of("1", f"{owner} said this"))

        async def read(owner: str) -> bool:
            found = await store.sessions.read(key(owner=owner))
            window = await store.turns.window(key(owner=owner), newest=5)
            return found is not None and texts(found.messages) == texts(window.tail) == [f"{owner} said this"]

        finished = cancelled = 0
        for _ in range(25):
            busy = asyncio.create_task(send(redis, "EVAL", "for i = 1, 200000 do local x = i * i end", 0))
            tasks = [asyncio.create_task(read(chance.choice(owners))) for _ in range(24)]
            await asyncio.sleep(chance.random() * 0.004)
            for task in chance.sample(tasks, 12):
                task.cancel()
            for answer in await asyncio.gather(*tasks, return_exceptions=True):
                cancelled += isinstance(answer, asyncio.CancelledError)
                finished += answer is True
                assert answer is True or isinstance(answer, asyncio.CancelledError)
            await busy

        assert all([await read(owner) for owner in owners])
    assert finished > 100
    assert cancelled > 100


async def test_sessions_of_before_there_were_branches_go_on(redis: Redis, store: Store) -> None:
    """Their turns were a ZSET, and how they stood were fields of their own; two messages had been cleared."""
    lines = [encode(message) for message in turn_of("0", "be brief", "one", "eins", "two").messages]
    meta: dict[Any, Any] = {
        "created_us": NOW,
        "active_us": NOW,
        "title": "old",
        "messages": 4,
        "dialogs": 2,
        "appended": 6,
    }
    meta |= {"instructions": 1, "fixed_from": 2, "fixed_count": 1}
    await redis.hset("sage:session:{local/s1}:meta", mapping=meta)
    await redis.rpush("sage:session:{local/s1}:messages", *lines)
    await redis.zadd("sage:session:{local/s1}:turns", {"0": 6})

    window = await store.turns.window(key(), newest=2)
    stored = await append(store, key(), turn_of("1", "three"))
    whole = await store.sessions.whole(key())

    assert (texts(window.tail), texts(window.fixed), window.total) == (["eins", "two"], ["be brief"], 4)
    assert (window.ranges, window.positions) == ((Range(2, 6),), [4, 5])
    assert (stored.first, stored.message_count) == (6, 5)
    assert whole is not None
    assert texts(whole.log) == ["be brief", "one", "eins", "two", "three"]
    assert whole.branches == {
        "main": BranchState(ranges=(Range(2, 7),), dialogs=3, untold=1, fixed=Range(2, 3), forked_at=None)
    }
    assert await store.sessions.delete(key()) is not None
    assert await names(redis, "sage:session:*") == set()


async def test_what_is_in_images_is_no_match_for_the_server(redis: Redis, store: Store) -> None:
    turn = turn_of("1", "x")
    image = [{"type": "image_url", "image_url": {"url": "data:zebra"}}, {"type": "text", "text": "a lion"}]
    await append(store, key(), replace(turn, messages=[structs.replace(turn.messages[0], content=image)]))
    match = session_script("match")

    in_an_image = await match.run(redis, parts(key()), 0, 500, 20, "zebra")
    in_a_text = await match.run(redis, parts(key()), 0, 500, 20, "lion")

    assert in_an_image == [-1]
    assert len(in_a_text) == 2


async def test_a_search_looks_at_long_messages_a_few_at_a_time(redis: Redis, store: Store) -> None:
    for number in range(4):
        await append(store, key(), turn_of(str(number), "x" * (3 * 2**20)))
    await append(store, key(), turn_of("last", "a lion"))

    first = await session_script("match").run(redis, parts(key()), 0, 500, 20, "lion")

    assert first == [2]
    assert await store.sessions.holding([key(), key("s2")], "lion") == {key()}
    assert await store.sessions.holding([key()], "zebra") == set()


async def test_news_of_the_list_that_redis_has_no_room_for_keep_nobody_from_reading(redis: Redis, store: Store) -> None:
    await append(store, key(), turn_of("1", "x"))
    await redis.config_set("maxmemory", 1)
    try:
        before = await store.sessions.totals("local")
        await store.sessions.delete(key())
    finally:
        await redis.config_set("maxmemory", 0)

    assert before.sessions == 1
    assert await names(redis, "sage:*") == set()


@pytest.mark.slow
async def test_a_conversation_too_long_to_be_read_at_once_is_told_from_its_end(store: Store) -> None:
    for number in range(3):
        await append(store, key(), turn_of(str(number), "x" * (6 * 2**20)))

    told = await desk_over(store).context("s1", budget=100_000_000)

    assert (len(told.messages), told.dropped) == (2, 1)


async def test_a_session_too_long_for_one_answer_is_read_in_several(redis: Redis, store: Store) -> None:
    read, further = session_script("read"), session_script("further")
    said = [character * (3 * 2**20) for character in "abcde"]
    for number, text in enumerate(said):
        await append(store, key(), turn_of(str(number), text))
    _, base, _, _, first, _ = await read.run(redis, parts(key()), "", 1)

    found, whole = await store.sessions.read(key()), await store.sessions.whole(key())
    rest = await further.run(redis, parts(key()), NOW, base, "0-1,3-5", 2)
    await store.sessions.clear(key(), now_us=NOW)
    cleared = await further.run(redis, parts(key()), NOW, base, "0-5", 2)

    assert len(first) == 2
    assert found is not None
    assert whole is not None
    assert texts(found.messages) == texts(whole.log) == said
    assert rest == [encode(whole.log[4])]
    assert cleared is None
