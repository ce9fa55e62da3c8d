"""Many owners on one service, and calls that are cancelled at any moment: nobody ever sees a byte of another's."""

import asyncio
import random
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from sage_chassis import app
from sage_chassis.bodies import StrictRequest
from session_store.app import Parts, assemble
from session_store.routes import sessions, turns
from session_store.settings import Settings
from tests.fakes.cluster import serve

pytestmark = pytest.mark.slow

OWNERS = [f"owner{number:02}" for number in range(100)]
CANCELLED = 5_000
AT_ONCE, FINISHED = 50, 5
OWNER_HEADER = "X-Test-Owner"
_SECRET = re.compile(rb"secret of (\w+)")


def owner_of(request: StrictRequest) -> str:
    """As API keys will say it one day."""
    return request.headers[OWNER_HEADER]


@pytest.fixture
async def http(redis_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    registry = CollectorRegistry()
    parts = assemble(Settings(redis_url=redis_url), registry)
    service = app.build(
        "session-store",
        routes=[*sessions.ROUTES, *turns.ROUTES],
        parts=parts,
        kind=Parts,
        registry=registry,
        owner=owner_of,
    )
    async with serve(service) as url, aiohttp.ClientSession(url) as session:
        yield session


class Caller:
    """Says secrets of its owner in the session `shared`, which every owner has one of."""

    def __init__(self, http: aiohttp.ClientSession, owner: str) -> None:
        self._http = http
        self._headers = {OWNER_HEADER: owner}
        self._owner = owner
        self._turns = 0

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """The answer, which is of this owner alone."""
        async with self._http.request(method, path, json=body, headers=self._headers) as response:
            raw = await response.read()
        assert set(_SECRET.findall(raw)) <= {self._owner.encode()}
        return response.status, raw

    async def talk(self) -> None:
        self._turns += 1
        question = {"role": "user", "content": f"secret of {self._owner}"}
        answer = {"role": "assistant", "content": f"another secret of {self._owner}"}
        path = "/internal/sessions/shared/turns"
        asked = {"turn_id": f"{self._owner} {self._turns}", "messages": [question], "on_conflict": "fork"}
        async with self._http.post(path, json=asked, headers=self._headers) as response:
            opened = await response.json()
        if response.status == 200:
            held = {name: opened[name] for name in ("turn_id", "token", "branch")}
            await self.ask("POST", f"{path}/commit", {**held, "messages": [question, answer]})

    async def anything(self, chance: random.Random) -> None:
        match chance.randrange(7):
            case 0:
                await self.ask("GET", "/sessions")
            case 1:
                await self.ask("GET", "/sessions?q=secret")
            case 2:
                await self.ask("GET", "/sessions/shared/branches")
            case 3:
                await self.ask("POST", "/sessions/shared/fork", {"select": False})
            case 4:
                await self.talk()
            case _:
                await self.ask("GET", "/sessions/shared")


async def test_of_five_thousand_cancelled_calls_none_shows_a_byte_of_another_owner(http: aiohttp.ClientSession) -> None:
    chance = random.Random(4)
    callers = [Caller(http, owner) for owner in OWNERS]
    await asyncio.gather(*(caller.talk() for caller in callers))
    cancelled = finished = 0

    while cancelled < CANCELLED:
        calls = [asyncio.create_task(chance.choice(callers).anything(chance)) for _ in range(AT_ONCE)]
        await asyncio.sleep(chance.random() * 0.06)
        for call in calls[FINISHED:]:
            call.cancel()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            cancelled += isinstance(outcome, asyncio.CancelledError)
            finished += outcome is None
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome

    for owner, caller in zip(OWNERS, callers, strict=True):
        status, raw = await caller.ask("GET", "/sessions/shared?branch=main")
        assert status == 200
        assert f"secret of {owner}".encode() in raw
    assert finished >= CANCELLED // AT_ONCE * FINISHED


async def test_somebody_elses_session_is_a_404_everywhere(http: aiohttp.ClientSession) -> None:
    anna, ben = Caller(http, "anna"), Caller(http, "ben")
    await anna.talk()
    held = {"turn_id": "anna 1", "token": 1, "branch": "main"}
    messages = [{"role": "user", "content": "x"}]

    answers = [
        await ben.ask("GET", "/sessions/shared"),
        await ben.ask("POST", "/sessions/shared/clear"),
        await ben.ask("PATCH", "/sessions/shared/title", {"title": "mine"}),
        await ben.ask("POST", "/sessions/shared/fork"),
        await ben.ask("GET", "/sessions/shared/branches"),
        await ben.ask("POST", "/sessions/shared/branches/main/select"),
        await ben.ask("DELETE", "/sessions/shared"),
        await ben.ask("POST", "/internal/sessions/shared/turns/commit", {**held, "messages": messages}),
        await ben.ask("POST", "/internal/sessions/shared/turns/renew", held),
    ]
    _, listed = await ben.ask("GET", "/sessions?q=secret")
    _, cleaned = await ben.ask("POST", "/sessions/cleanup?max_age_minutes=0")
    _, abandoned = await ben.ask("POST", "/internal/sessions/shared/turns/abandon", held)

    assert {status for status, _ in answers} == {404}
    assert b'"sessions":[]' in listed
    assert b'"removed_sessions":0' in cleaned
    assert b"not_open" in abandoned
    assert (await anna.ask("GET", "/sessions/shared"))[0] == 200
