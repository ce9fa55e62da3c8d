"""
Forty facts stated over sixty turns, a window of four dialogs: which of them does each memory find when asked?

Two such talks: the rules were made with the first in sight; the second was written without them, and met them once before
they were improved: docs/memory.md tells how that went.

Asked in other words than they were stated in, against the real services: session-store on Valkey, rag-indexer on Qdrant
Edge with the encoder users have. `pytest -s` prints the table.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
from prometheus_client import CollectorRegistry

from rag_indexer.app import assemble as rag_indexer
from rag_indexer.app import create_app as rag_app
from rag_indexer.settings import Settings as RagSettings
from sage_chassis.client import ServiceClient
from sage_contracts import turns
from sage_contracts.sessions import Backend, NewMessage
from session_store.app import assemble, create_app
from session_store.settings import Settings
from tests.fakes.cluster import serve
from tests.fakes.redis_server import RedisServer
from tests.system.talks import TALKS, Fact, Talk

WINDOW = 4
BUDGET_TOKENS = 2_000
"""A quarter of it may be hits: some twenty short turns of the sixty."""


BACKENDS: list[Backend] = ["short_term", "vdb", "kv", "graph"]
REACH = {"kv": "k", "graph": "g"}


@asynccontextmanager
async def indexer(folder: Path) -> AsyncGenerator[str]:
    registry = CollectorRegistry()
    config = RagSettings(data_dir=str(folder), build_at_start=False)
    async with serve(rag_app(rag_indexer(config, registry), registry)) as url:
        yield url


@asynccontextmanager
async def store(redis: RedisServer, indexer_url: str, backend: Backend) -> AsyncGenerator[tuple[ServiceClient, str]]:
    registry = CollectorRegistry()
    config = Settings(redis_url=redis.url, memory_backend=backend, max_dialogs=WINDOW, indexer_url=indexer_url)
    async with serve(create_app(assemble(config, registry), registry)) as url, aiohttp.ClientSession() as http:
        yield ServiceClient(http, url, name="session-store", timeout=60), url


async def talked(client: ServiceClient, session_id: str, talk: Talk) -> None:
    for number, text in enumerate(talk.turns()):
        asked = NewMessage(role="user", content=text)
        name = f"t{number}"
        opened = await client.call(turns.OPEN, turns.OpenTurn(turn_id=name, messages=[asked]), session_id=session_id)
        commit = turns.CommitTurn(
            turn_id=name,
            token=opened.token,
            branch=opened.branch,
            messages=[asked, NewMessage(role="assistant", content="I see.")],
        )
        await client.call(turns.COMMIT, commit, session_id=session_id)


async def remembered(url: str) -> None:
    """Once every turn has been remembered."""
    wanted = 'sage_session_store_memory_work_total{outcome="done",work="remember"} 60.0'
    async with aiohttp.ClientSession() as http, asyncio.timeout(60):
        while True:
            async with http.get(f"{url}/metrics") as response:
                if wanted in await response.text():
                    return
            await asyncio.sleep(0.05)


async def told(client: ServiceClient, session_id: str, fact: Fact, number: int) -> bool:
    """Asked twice: where the machine stands still for a moment a recall is given up; what is not there stays away."""
    return await asked_once(client, session_id, fact, f"q{number}") or await asked_once(
        client, session_id, fact, f"q{number}-again"
    )


async def asked_once(client: ServiceClient, session_id: str, fact: Fact, turn_id: str) -> bool:
    asked = turns.OpenTurn(
        turn_id=turn_id,
        messages=[NewMessage(role="user", content=fact.asked)],
        question=fact.asked,
        budget_tokens=BUDGET_TOKENS,
    )
    opened = await client.call(turns.OPEN, asked, session_id=session_id)
    held = turns.HeldTurn(turn_id=asked.turn_id, token=opened.token, branch=opened.branch)
    await client.call(turns.ABANDON, held, session_id=session_id)
    assert opened.context.tokens + opened.context.hit_tokens <= BUDGET_TOKENS
    texts = [str(message.content) for message in opened.context.messages] + [hit.text for hit in opened.context.hits]
    return any(fact.needle in text for text in texts)


class Row(NamedTuple):
    talk: str
    backend: Backend
    found: set[str]
    in_reach: list[Fact]

    @property
    def missed(self) -> list[Fact]:
        return [fact for fact in self.in_reach if fact.said not in self.found]

    @property
    def share(self) -> float:
        return 1 - len(self.missed) / len(self.in_reach)


async def row(redis: RedisServer, indexer_url: str, talk: Talk, backend: Backend) -> Row:
    session_id = f"recall-{talk.name}-{backend}"
    async with store(redis, indexer_url, backend) as (client, url):
        await talked(client, session_id, talk)
        if backend != "short_term":
            await remembered(url)
        answers = [await told(client, session_id, fact, number) for number, fact in enumerate(talk.facts)]
    found = {fact.said for fact, answer in zip(talk.facts, answers, strict=True) if answer}
    return Row(talk.name, backend, found, in_reach(talk, backend))


def in_reach(talk: Talk, backend: Backend) -> list[Fact]:
    if backend == "short_term":
        return [fact for fact in talk.facts if fact.said in talk.turns()[-WINDOW:]]
    return [fact for fact in talk.facts if REACH.get(backend, "") in fact.reach]


def printed(rows: list[Row]) -> None:
    print("\ntalk       memory       in reach   found of these   share   found of 40")
    for one in rows:
        reached = len(one.in_reach)
        hits = reached - len(one.missed)
        print(f"{one.talk:<10} {one.backend:<12} {reached:>8}   {hits:>14}   {one.share:>5.0%}   {len(one.found):>11}")
        if one.missed:
            print("   missed:", *(fact.asked for fact in one.missed), sep="\n     ")


async def test_each_memory_finds_what_is_in_its_reach(shared_redis: RedisServer, tmp_path: Path) -> None:
    async with indexer(tmp_path) as indexer_url:
        rows = [await row(shared_redis, indexer_url, talk, backend) for talk in TALKS for backend in BACKENDS]

    printed(rows)
    for one in rows:
        if one.backend == "short_term":
            assert one.found == {fact.said for fact in one.in_reach}
    assert [(one.talk, one.backend) for one in rows if one.share < 0.9] == []
