"""
Prints how long the store's operations take at one client, and what a message costs in Redis. Not a test.

    python -m tests.session_store.figures [sessions]
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
from prometheus_client import CollectorRegistry

from sage_chassis.client import ServiceClient
from sage_chassis.redis_client import connect
from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from sage_contracts.call import Empty
from session_store.adapters.redis_index import RedisIndex
from session_store.adapters.redis_sessions import RedisSessions
from session_store.app import assemble, create_app
from session_store.domain.ranges import Range
from session_store.domain.records import MICROS, SessionKey
from session_store.domain.transfers.conversations import Conversation
from session_store.domain.travelling import arrived
from session_store.domain.views import message_of
from session_store.settings import Settings
from tests.fakes.cluster import serve
from tests.fakes.redis_server import redis_server
from tests.session_store.parts import exchange, said

ROUNDS = 300
MESSAGES_A_SESSION = 100
WORDS = "some words of an ordinary length, as people and engines write them; " * 4


async def main(sessions: int) -> None:
    with redis_server() as server:
        client = connect(server.url)
        await client.config_set("appendfsync", "everysec")
        await fill(RedisSessions(client, RedisIndex(client), ttl_ms=3_600_000), sessions)
        registry = CollectorRegistry()
        app = create_app(assemble(Settings(redis_url=server.url), registry), registry)
        async with serve(app) as url, aiohttp.ClientSession() as http:
            await measured(ServiceClient(http, url, name="session-store"), sessions)
        used = await client.memory_usage("sage:session:{local/s0}:messages", samples=0)
        lines = await client.lrange("sage:session:{local/s0}:messages", 0, -1)
        print(f"{'memory per message':24} {(used or 0) / sum(map(len, lines)):6.2f} of its JSON")
        await client.aclose()


async def fill(stored: RedisSessions, sessions: int) -> None:
    now_us = int(time.time() * MICROS)
    messages = [
        message_of(said("user" if number % 2 == 0 else "assistant", WORDS), f"msg_{number:024}", now_us)
        for number in range(MESSAGES_A_SESSION)
    ]

    async def one(number: int) -> None:
        await stored.put(
            SessionKey("local", f"s{number}"),
            arrived(
                Conversation(
                    log=messages,
                    branches={"main": (Range(0, len(messages)),)},
                    created_us=now_us,
                    active_us=now_us,
                    auto_title=f"Chat number {number}",
                )
            ),
        )

    for start in range(0, sessions, 50):
        await asyncio.gather(*(one(number) for number in range(start, min(sessions, start + 50))))


async def measured(store: ServiceClient, sessions: int) -> None:
    print(f"{sessions} sessions of {MESSAGES_A_SESSION} messages, one client, over HTTP, AOF everysec")
    turns: dict[int, turn_wire.TurnOpened] = {}

    async def opened(number: int) -> None:
        asked = turn_wire.OpenTurn(turn_id=f"figures-{number}", messages=[said("user", WORDS)])
        turns[number] = await store.call(turn_wire.OPEN, asked, session_id=f"s{number % sessions}")

    async def committed(number: int) -> None:
        turn = turns[number]
        commit = turn_wire.CommitTurn(
            turn_id=turn.turn_id, token=turn.token, branch=turn.branch, messages=exchange(WORDS, WORDS)
        )
        await store.call(turn_wire.COMMIT, commit, session_id=turn.session_id)

    await timed("open", opened)
    await timed("commit", committed)
    await timed("first page of 100", lambda _: store.call(wire.LIST, wire.ListQuery()))
    await timed("first page of 20", lambda _: store.call(wire.LIST, wire.ListQuery(limit=20)))
    await timed("read", lambda n: store.call(wire.READ, wire.ReadQuery(), session_id=f"s{n % sessions}"))
    await timed("search, nothing found", lambda _: store.call(wire.LIST, wire.ListQuery(q="zebra")), rounds=10)
    await timed("totals", lambda _: store.call(wire.STATS, Empty()))


async def timed(name: str, ask: Callable[[int], Awaitable[object]], *, rounds: int = ROUNDS) -> None:
    seconds: list[float] = []
    for number in range(rounds):
        began = time.perf_counter()
        await ask(number)
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    print(
        f"{name:24} p50 {statistics.median(seconds) * 1e3:6.2f} ms   p99 {seconds[int(rounds * 0.99) - 1] * 1e3:6.2f} ms"
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
