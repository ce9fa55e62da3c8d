"""session-store as the gateway calls it: busy, away, hanging, full."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from chat_gateway.adapters.session_history import SessionHistory
from sage_chassis.client import ServiceClient
from sage_contracts.errors import SageError, ServiceUnavailable, SessionBusy, StoreFull, StoreUnavailable, TurnLost
from sage_contracts.sessions import NewMessage
from sage_contracts.turns import CommitTurn, HeldTurn, OnConflict, OpenTurn
from tests.fakes.cluster import free_port
from tests.fakes.services import FakeServices, fake_services

ASKED = [NewMessage(role="user", content="why?")]
ANSWERED = [*ASKED, NewMessage(role="assistant", content="because")]


def opening(name: str, conflict: OnConflict = "queue", *, wait: float = 5.0, digest: str | None = None) -> OpenTurn:
    return OpenTurn(turn_id=name, messages=ASKED, on_conflict=conflict, wait_seconds=wait, digest=digest)


def commit(name: str = "a", token: int = 1) -> CommitTurn:
    return CommitTurn(turn_id=name, token=token, branch="main", messages=ANSWERED)


@asynccontextmanager
async def history(
    *, commit_seconds: float = 30.0, answer_seconds: float = 30.0
) -> AsyncGenerator[tuple[SessionHistory, FakeServices]]:
    async with fake_services() as services, aiohttp.ClientSession() as http:
        store = ServiceClient(http, services.url, name="session-store")
        yield SessionHistory(store, commit_seconds=commit_seconds, answer_seconds=answer_seconds), services


async def test_a_turn_that_nobody_holds_up_is_one_call() -> None:
    async with history() as (turns, services):
        opened = await turns.open("s", opening("a"))

    assert (opened.turn_id, opened.branch, len(services.turns.opened)) == ("a", "main", 1)


async def test_a_turn_waits_for_the_one_before() -> None:
    async with history() as (turns, services):
        first = await turns.open("s", opening("a"))
        second = asyncio.create_task(turns.open("s", opening("b")))
        await services.turns.asked_to_wait.wait()
        await turns.commit("s", commit(token=first.token))

        assert (await second).token > first.token


@pytest.mark.parametrize(("conflict", "wait"), [("queue", 0.0), ("queue", 0.1), ("reject", 5.0)])
async def test_a_session_that_stays_busy_is_told(conflict: OnConflict, wait: float) -> None:
    async with history() as (turns, _):
        await turns.open("s", opening("a"))
        with pytest.raises(SessionBusy):
            await turns.open("s", opening("b", conflict, wait=wait))


@pytest.mark.parametrize("conflict", ["queue", "reject", "fork"])
async def test_a_turn_that_finds_itself_under_way_waits_for_itself(conflict: OnConflict) -> None:
    async with history() as (turns, services):
        first = await turns.open("s", opening("a", conflict, digest="d"))
        again = asyncio.create_task(turns.open("s", opening("a", conflict, digest="d")))
        await services.turns.asked_to_wait.wait()
        await turns.commit("s", commit(token=first.token))
        answered = (await again).answered

    assert answered is not None
    assert answered.content == "because"


@pytest.mark.parametrize("digest", [None, "d"])
@pytest.mark.parametrize("conflict", ["queue", "reject", "fork"])
async def test_a_store_that_hangs_is_known_of_in_the_time_of_a_call(conflict: OnConflict, digest: str | None) -> None:
    async with history(answer_seconds=0.1) as (turns, services), asyncio.timeout(5):
        services.turns.open_gate.clear()
        with pytest.raises(ServiceUnavailable):
            await turns.open("s", opening("a", conflict, wait=60.0, digest=digest))
        services.turns.open_gate.set()


@pytest.mark.slow
async def test_a_store_that_hangs_while_turns_wait_in_line_is_asked_by_one_and_known_of_by_all() -> None:
    async with history(answer_seconds=1.0) as (turns, services), asyncio.timeout(5):
        await turns.open("s", opening("first"))
        waiting = [asyncio.create_task(turns.open("s", opening(f"{number}", wait=60.0))) for number in range(20)]
        while services.alive_asked < 3:
            await asyncio.sleep(0.01)
        asked_before = services.alive_asked
        services.alive_gate.clear()
        told = await asyncio.gather(*waiting, return_exceptions=True)
        asked_of_it = services.alive_asked - asked_before
        services.alive_gate.set()

    assert {type(one) for one in told} == {ServiceUnavailable}
    assert asked_of_it == 1


@pytest.mark.slow
async def test_a_store_that_is_back_is_waited_for_again() -> None:
    async with history(answer_seconds=1.0) as (turns, services), asyncio.timeout(5):
        await turns.open("s", opening("a"))
        services.alive_gate.clear()
        with pytest.raises(ServiceUnavailable):
            await turns.open("s", opening("b", wait=60.0))
        services.alive_gate.set()
        again = asyncio.create_task(turns.open("s", opening("c", wait=60.0)))
        asked_before = services.alive_asked
        while services.alive_asked < asked_before + 3:
            await asyncio.wait({again}, timeout=0.05)
        is_told = again.done()
        again.cancel()

    assert not is_told


class BusyStore(ServiceClient):
    """Busy at once for who would not wait, and silent to who does."""

    async def call(self, call: Any, body: Any, **_: Any) -> Any:
        if isinstance(body, OpenTurn) and not body.wait_seconds:
            raise SessionBusy("busy")
        await asyncio.Event().wait()


async def test_who_comes_as_the_last_in_line_leaves_waits_all_the_same() -> None:
    async with aiohttp.ClientSession() as http:
        turns = SessionHistory(BusyStore(http, "http://nowhere", name="session-store"), commit_seconds=1.0)
        last = asyncio.create_task(turns.open("s", opening("a", wait=60.0)))
        await asyncio.wait({last}, timeout=0.05)
        last.cancel()
        comes = asyncio.create_task(turns.open("s", opening("b", wait=60.0)))
        done, _ = await asyncio.wait({comes}, timeout=0.05)
        comes.cancel()

    assert not done


@pytest.mark.slow
async def test_a_turn_waits_in_line_for_longer_than_a_call_may_take() -> None:
    async with history(answer_seconds=1.0) as (turns, services):
        first = await turns.open("s", opening("a"))
        second = asyncio.create_task(turns.open("s", opening("b", wait=60.0)))
        while services.alive_asked < 6:
            await asyncio.wait({second}, timeout=0.05)
        await turns.commit("s", commit(token=first.token))

        assert (await second).token > first.token


async def test_a_commit_is_sent_again_until_the_store_is_back() -> None:
    async with history() as (turns, services):
        opened = await turns.open("s", opening("a"))
        services.turns.refuse_commits = 2
        services.turns.lose_answers_of_commits = 1
        await turns.commit("s", commit(token=opened.token))

    assert (len(services.turns.commits), len(services.sessions["s"])) == (4, 2)


@pytest.mark.parametrize(
    ("error", "is_repeated"), [(StoreUnavailable("away"), True), (StoreFull("full"), False), (TurnLost("lost"), False)]
)
async def test_a_commit_is_not_sent_for_ever(error: SageError, is_repeated: bool) -> None:
    async with history(commit_seconds=0.5) as (turns, services):
        opened = await turns.open("s", opening("a"))
        services.failing["store"] = error
        with pytest.raises(type(error)):
            await turns.commit("s", commit(token=opened.token))

    assert (services.failed["store"] > 1) == is_repeated


async def test_turns_are_renewed_and_given_back() -> None:
    async with history() as (turns, services):
        opened = await turns.open("s", opening("a"))
        held = HeldTurn(turn_id="a", token=opened.token, branch="main")
        await turns.renew("s", held)
        await turns.abandon("s", held)

    assert (services.turns.renewed, services.turns.abandoned, services.sessions) == ([held], [held], {})


async def test_a_store_that_is_not_there_is_away() -> None:
    async with aiohttp.ClientSession() as http:
        store = ServiceClient(http, f"http://127.0.0.1:{free_port()}", name="session-store")
        with pytest.raises(ServiceUnavailable):
            await SessionHistory(store, commit_seconds=0).open("s", opening("a"))
