"""Commands, hints and the two seconds, on real clusters and behind real Sentinels."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Iterator

import pytest
from redis.crc import key_slot
from redis.exceptions import ResponseError

from sage_chassis import redis_client
from sage_chassis.bus import Bus
from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Client, answered, send, send_all
from sage_contracts.errors import StoreUnavailable
from tests.fakes.redis_server import (
    AWAY_SECONDS,
    RedisCluster,
    Sentinels,
    redis_cluster,
    redis_sentinels,
)

pytestmark = pytest.mark.slow

KEYS = [f"key{number}" for number in range(30)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with redis_cluster() as found:
        yield found


@pytest.fixture
async def client(cluster: RedisCluster) -> AsyncIterator[Client]:
    client = redis_client.connect(cluster.url)
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
def sentinels() -> Iterator[Sentinels]:
    with redis_sentinels() as found:
        yield found


async def outcome(operation: Awaitable[object]) -> tuple[str, float]:
    began = time.monotonic()
    try:
        async with reached():
            await operation
    except StoreUnavailable:
        return "away", time.monotonic() - began
    return "answered", time.monotonic() - began


async def test_commands_reach_the_nodes_of_their_keys(client: Client) -> None:
    answered(await send_all(client, [("SET", key, key) for key in KEYS]))

    assert await send_all(client, [("GET", key) for key in KEYS]) == [key.encode() for key in KEYS]
    assert (await redis_client.check(client)).ok


async def test_more_commands_than_connections_wait_their_turn(client: Client) -> None:
    count = 3 * redis_client.CLUSTER_CONNECTIONS

    found = await asyncio.gather(*(send(client, "SET", "{one-node}", number) for number in range(count)))
    also = await send_all(client, [("SET", "{one-node}", number) for number in range(count)])

    assert [*found, *also] == [True] * 2 * count


async def test_a_command_that_is_refused_stops_none_of_the_others(client: Client) -> None:
    await send(client, "SET", "a", 1)

    answers = await send_all(client, [("GET", "a"), ("INCR", "a", "b"), ("GET", "a")])

    assert (answers[::2], isinstance(answers[1], ResponseError)) == ([b"1", b"1"], True)
    with pytest.raises(ResponseError):
        answered(answers)


async def test_a_node_that_hangs_is_known_within_two_seconds_and_the_others_serve_on(cluster: RedisCluster) -> None:
    """A client of its own: what a node was asked in vain is over when it goes on."""
    client = redis_client.connect(cluster.url)
    await send_all(client, [("SET", key, key) for key in KEYS])
    hung = cluster.servers[2]
    hung.signal(signal.SIGSTOP)
    try:
        outcomes = await asyncio.gather(*(outcome(send(client, "GET", key)) for key in KEYS))
    finally:
        hung.signal(signal.SIGCONT)
    await client.aclose()

    expected = ["away" if cluster.of_slot(key_slot(key.encode())) is hung else "answered" for key in KEYS]
    assert [told for told, _ in outcomes] == expected
    assert max(seconds for _, seconds in outcomes) < AWAY_SECONDS
    assert len(set(expected)) == 2


async def test_hints_reach_listeners_of_every_node(client: Client) -> None:
    bus = Bus(client)
    hints = bus.listen("sage:test")
    assert [await anext(hints)] == [""]
    for number in range(5):
        await bus.publish("sage:test", str(number))

    assert [await anext(hints) for _ in range(5)] == list("01234")
    await hints.aclose()


async def test_a_cluster_that_is_not_there_yet_is_waited_for(cluster: RedisCluster) -> None:
    for server in cluster.servers:
        server.signal(signal.SIGSTOP)
    client = redis_client.connect(cluster.url)
    try:
        found, seconds = await outcome(send(client, "GET", "a"))
    finally:
        for server in cluster.servers:
            server.signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        while (await outcome(send(client, "GET", "a")))[0] == "away":
            await asyncio.sleep(0.05)
    await client.aclose()

    assert (found, seconds < AWAY_SECONDS) == ("away", True)


async def test_callers_wait_their_turn_for_the_masters_connections(sentinels: Sentinels) -> None:
    client = redis_client.connect(sentinels.url, max_connections=2)

    found = await asyncio.gather(*(outcome(send(client, "SET", key, "x")) for key in KEYS))

    assert {told for told, _ in found} == {"answered"}
    with sentinels.master.client() as server:
        assert sum(one["name"] == "sage" for one in server.client_list()) == 2
    await client.aclose()


async def test_a_failover_is_lived_through(sentinels: Sentinels) -> None:
    """Commands are told within two seconds that nobody is master, then answered by the new one; hints come again."""
    client, idle = redis_client.connect(sentinels.url), redis_client.connect(sentinels.url)
    hints = Bus(client, silent_seconds=0.5).listen("sage:test")
    assert await anext(hints) == ""
    await send(client, "SET", "a", "kept")
    await send(idle, "WAIT", 1, 1000)
    sentinels.master.signal(signal.SIGSTOP)
    told: list[tuple[str, float]] = []
    async with asyncio.timeout(60):
        while not told or told[-1][0] == "away":
            told.append(await outcome(send(client, "SET", "b", "new")))
        assert await anext(hints) == ""
    sentinels.master.signal(signal.SIGCONT)
    with sentinels.master.client() as old:  # as the Sentinels do, who take ten seconds for it
        old.replicaof("127.0.0.1", sentinels.replica.port)
    kept = answered(await send_all(idle, [("SET", "c", "by who was idle meanwhile"), ("GET", "a"), ("GET", "b")]))
    await Bus(idle).publish("sage:test", "after")

    assert await anext(hints) == "after"
    assert (kept, (await redis_client.check(client)).ok) == ([True, b"kept", b"new"], True)
    assert max(seconds for _, seconds in told) < AWAY_SECONDS
    assert told[0][0] == "away"
    await hints.aclose()
    await client.aclose()
    await idle.aclose()
