"""
What sessions cost: listing, context and memory with many of them, and what a turn adds to a chat.

    python -m tests.bench.sessions [sessions]
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
from rich.console import Console
from rich.table import Table

from sage_chassis import redis_client
from sage_chassis.client import ServiceClient
from sage_chassis.redis_commands import Client, send
from sage_contracts import sessions as wire
from sage_contracts import turns
from sage_contracts.names import LOCAL_OWNER, MAIN_BRANCH
from sage_contracts.sessions import Message
from session_store.adapters.redis_index import RedisIndex
from session_store.adapters.redis_sessions import RedisSessions
from session_store.domain.ranges import Range
from session_store.domain.records import MICROS, SessionKey
from session_store.domain.transfers.conversations import Conversation
from session_store.domain.travelling import arrived
from session_store.domain.views import time_of
from tests.bench.engine import Bare, engines
from tests.bench.fleet import register
from tests.bench.load import load
from tests.fakes.stack import Stack, local_stack

SESSIONS = 10_000
MESSAGES = 100
ROUNDS = 400
BLOCKS, BLOCK = 10, 40
"""Chats with a session and without take turns, so that whatever else the machine does touches both."""

QUESTION = "How does the gateway choose the engine that answers me? "
ANSWER = "It asks which engines are ready, and sends the request to the one that would answer soonest. " * 3


@dataclass(frozen=True, slots=True)
class Figure:
    """`bar` is what it must not exceed; None where there is none."""

    name: str
    value: float
    unit: str
    bar: float | None = None


async def measured(stack: Stack, engine: Bare, sessions: int = SESSIONS) -> list[Figure]:
    redis = redis_client.connect(address(stack))
    try:
        before = await used(redis)
        began = time.perf_counter()
        written = await fill(redis, sessions)
        figures = [Figure(f"{sessions:,} sessions of {MESSAGES} messages stored in", time.perf_counter() - began, "s")]
        share = (await used(redis) - before) / written
        figures.append(Figure("memory, to the JSON of the messages", share, "x", 1.6))
    finally:
        await redis.aclose()
    async with aiohttp.ClientSession() as http:
        store = ServiceClient(http, f"http://127.0.0.1:{stack.port('session-store')}", name="session-store")
        figures += await at_the_store(store, sessions)
    return [*figures, *await through_the_gateway(stack, engine)]


def address(stack: Stack) -> str:
    password = json.loads((stack.home / "stack.json").read_bytes())["password"]
    return f"redis://:{password}@127.0.0.1:{stack.port('valkey')}/0"


async def used(redis: Client) -> int:
    told = await send(redis, "INFO", "memory")
    return int(told["used_memory"])


async def fill(redis: Client, sessions: int) -> int:
    """How many bytes of JSON the messages are."""
    stored = RedisSessions(redis, RedisIndex(redis), ttl_ms=30 * 86_400_000)
    now_us = int(time.time() * MICROS)

    async def one(number: int) -> int:
        conversation = conversation_of(number, now_us)
        await stored.put(SessionKey(LOCAL_OWNER, f"bench-{number}"), arrived(conversation))
        return sum(len(msgspec.json.encode(message)) for message in conversation.log)

    written = 0
    for start in range(0, sessions, 20):
        written += sum(await asyncio.gather(*(one(number) for number in range(start, min(sessions, start + 20)))))
    return written


def conversation_of(number: int, now_us: int) -> Conversation:
    at = now_us - 1_000 * number
    log = [
        Message(
            id=f"msg_{number:012x}{place:012x}",
            role="assistant" if place % 2 else "user",
            timestamp=time_of(at),
            content=ANSWER if place % 2 else f"{place}: {QUESTION}",
            metadata={"model": "bench", "finish_reason": "stop"} if place % 2 else {},
        )
        for place in range(MESSAGES)
    ]
    branches = {MAIN_BRANCH: (Range(0, MESSAGES),)}
    return Conversation(log=log, branches=branches, created_us=at, active_us=at, auto_title=f"Chat number {number}")


async def at_the_store(store: ServiceClient, sessions: int) -> list[Figure]:
    async def opened(number: int) -> None:
        asked = turns.OpenTurn(turn_id=f"bench-{number}", messages=[wire.NewMessage(role="user", content=QUESTION)])
        told = await store.call(turns.OPEN, asked, session_id=f"bench-{number * 7 % sessions}")
        assert len(told.context.messages) >= 20

    async def page(_: int) -> None:
        found = await store.call(wire.LIST, wire.ListQuery(limit=50))
        assert len(found.sessions) == 50

    return [
        Figure("a page of 50 of the list, p50", await median(page), "ms", 5),
        Figure("a turn opened, with its context of the last 20 dialogs, p50", await median(opened), "ms", 3),
    ]


async def median(ask: Callable[[int], Awaitable[None]]) -> float:
    found: list[float] = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        await ask(number)
        found.append(time.perf_counter() - began)
    return statistics.median(found) * 1_000


async def through_the_gateway(stack: Stack, engine: Bare) -> list[Figure]:
    """The median of the differences of two blocks that follow each other."""
    url = f"{stack.url}/v1/chat/completions"
    plain: list[float] = []
    added: list[float] = []
    for number in range(BLOCKS + 1):
        bare = await load(url, chat(engine), connections=1, requests=BLOCK)
        turned = await load(url, chat(engine, session_id=f"turns-{number}"), connections=1, requests=BLOCK)
        assert not bare.failed + turned.failed, "some requests failed"
        if number:  # the first block warms up
            plain.append(bare.percentile(0.5))
            added.append(turned.percentile(0.5) - bare.percentile(0.5))
    return [
        Figure("a chat passed through, p50", statistics.median(plain) * 1_000, "ms"),
        Figure("what a turn of a session adds to it, p50", statistics.median(added) * 1_000, "ms", 4),
    ]


def chat(engine: Bare, **extra: str) -> bytes:
    messages = [{"role": "user", "content": QUESTION}]
    return json.dumps({"model": engine.model, "messages": messages, **extra}).encode()


def table(figures: list[Figure]) -> Table:
    shown = Table(title="sessions, one client, AOF everysec", title_justify="left")
    shown.add_column("what")
    for column in ("measured", "bar", ""):
        shown.add_column(column, justify="right")
    for one in figures:
        verdict = "" if one.bar is None else "held" if one.value <= one.bar else "MISSED"
        shown.add_row(
            one.name, f"{one.value:.2f} {one.unit}", "" if one.bar is None else f"{one.bar:g} {one.unit}", verdict
        )
    return shown


def main(sessions: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="sage-bench-") as folder,
        engines(Path(folder)) as (engine, _),
        local_stack(SAGE_DEMO_ENGINE="0") as stack,
    ):
        asyncio.run(register(stack, engine))
        Console(width=110).print(table(asyncio.run(measured(stack, engine, sessions))))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS)
