"""The gateway's own routes over real sockets, called as the gateway calls them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sage_chassis.client import ServiceClient
from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from sage_contracts.call import Empty
from sage_contracts.errors import (
    BranchNotFound,
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    SessionBusy,
    SessionNotFound,
    TurnLost,
)
from sage_contracts.recollections import Recalled
from tests.session_store.parts import Clock, Desk, ListedRecollections, Store, desk_over, exchange, said, texts

TURNS = "/internal/sessions/s1/turns"


@pytest.fixture
async def store(desk: Desk) -> AsyncIterator[ServiceClient]:
    async with desk.served() as url, aiohttp.ClientSession() as http:
        yield ServiceClient(http, url, name="session-store")


async def opened(store: ServiceClient, turn_id: str, *, session_id: str = "s1", **fields: Any) -> turn_wire.TurnOpened:
    asked = turn_wire.OpenTurn(turn_id=turn_id, messages=[said("user", f"q{turn_id}")], **fields)
    return await store.call(turn_wire.OPEN, asked, session_id=session_id)


def held(turn: turn_wire.TurnOpened) -> turn_wire.HeldTurn:
    return turn_wire.HeldTurn(turn_id=turn.turn_id, token=turn.token, branch=turn.branch)


async def committed(
    store: ServiceClient, turn: turn_wire.TurnOpened, messages: list[wire.NewMessage] | None = None
) -> turn_wire.TurnCommitted:
    commit = turn_wire.CommitTurn(
        turn_id=turn.turn_id,
        token=turn.token,
        branch=turn.branch,
        messages=messages or exchange(f"q{turn.turn_id}", f"a{turn.turn_id}"),
    )
    return await store.call(turn_wire.COMMIT, commit, session_id=turn.session_id)


async def test_what_was_asked_has_the_time_at_which_it_was(store: ServiceClient, clock: Clock) -> None:
    clock.now += 30
    turn = await opened(store, "1")
    clock.now += 20
    commit = turn_wire.CommitTurn(
        turn_id="1", token=turn.token, branch="main", messages=exchange("q", "a"), seconds=19.5
    )
    await store.call(turn_wire.COMMIT, commit, session_id="s1")
    session = await store.call(wire.READ, wire.ReadQuery(), session_id="s1")

    asked, answered = (message.timestamp.timestamp() for message in session.messages)
    assert (asked, answered) == (clock.now - 19.5, clock.now)
    assert session.last_active.timestamp() == clock.now


async def test_what_was_asked_before_all_time_is_refused(store: ServiceClient) -> None:
    turn = await opened(store, "1")
    commit = turn_wire.CommitTurn(turn_id="1", token=turn.token, branch="main", messages=exchange("q"), seconds=1e308)

    with pytest.raises(InvalidRequest, match="seconds"):
        await store.call(turn_wire.COMMIT, commit, session_id="s1")


async def contents(store: ServiceClient, branch: str | None = None) -> list[object]:
    session = await store.call(wire.READ, wire.ReadQuery(branch=branch), session_id="s1")
    return texts(session.messages)


async def test_a_turn_is_stored_and_told(store: ServiceClient) -> None:
    call = wire.NewMessage(
        role="assistant",
        tool_calls=[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        extra={"reasoning_content": "hm", "refusal": None},
    )
    messages = [said("user", "q", name="anna"), call, said("tool", "42", tool_call_id="c1"), said("assistant", "a")]

    first = await opened(store, "1")
    kept = await committed(store, first, messages)
    told = (await opened(store, "2", budget_tokens=500)).context

    assert (first.session_id, first.branch, first.turn_id, first.lease_seconds) == ("s1", "main", "1", 15.0)
    assert first.context == turn_wire.Context(
        backend="short_term", messages=[], hits=[], dropped=0, tokens=0, hit_tokens=0
    )
    assert kept == turn_wire.TurnCommitted(session_id="s1", branch="main", message_count=4)
    assert texts(told.messages) == ["q", None, "42", "a"]
    assert (told.messages[0].name, told.messages[1].tool_calls, told.messages[2].tool_call_id) == (
        "anna",
        call.tool_calls,
        "c1",
    )
    assert (told.messages[1].extra, told.dropped) == (call.extra, 0)


async def test_a_turn_committed_again_is_answered_as_before(store: ServiceClient) -> None:
    turn = await opened(store, "1")
    await committed(store, turn)

    again = await committed(store, turn)

    assert again == turn_wire.TurnCommitted(session_id="s1", branch="main", message_count=2, repeated=True)


async def test_a_turn_opened_again_with_its_key_is_answered_as_before(store: ServiceClient) -> None:
    await committed(store, await opened(store, "key:1", digest="d"))

    again = await opened(store, "key:1", digest="d")

    assert again.answered is not None
    assert (again.answered.role, again.answered.content, again.branch) == ("assistant", "akey:1", "main")
    with pytest.raises(IdempotencyKeyReused):
        await opened(store, "key:1", digest="e")
    assert await contents(store) == ["qkey:1", "akey:1"]


async def test_the_budget_decides_how_much_is_told(store: ServiceClient) -> None:
    for number in range(3):
        await committed(store, await opened(store, str(number)), exchange("q"))

    told = (await opened(store, "3", budget_tokens=13)).context

    assert (len(told.messages), told.dropped) == (2, 4)
    assert told.tokens <= 13


@pytest.mark.parametrize(
    ("brings_its_own", "budget", "told"),
    [
        (False, 5, []),
        (False, 6, ["Be kind."]),
        (False, 16, ["Be kind.", "q1", "a1"]),
        (True, 0, ["Be kind."]),
        (True, 10, ["Be kind.", "q1", "a1"]),
    ],
)
async def test_stored_instructions_take_no_room_beside_the_requests_own(
    store: ServiceClient, brings_its_own: bool, budget: int, told: list[str]
) -> None:
    instructed = [said("system", "Be kind."), said("user", "q1"), said("assistant", "a1")]
    await committed(store, await opened(store, "1"), instructed)

    context = (await opened(store, "2", budget_tokens=budget, has_instructions=brings_its_own)).context

    assert texts(context.messages) == told
    assert context.tokens <= budget


async def test_a_turn_waits_for_the_one_before_it(store: ServiceClient) -> None:
    first = await opened(store, "1")
    second = asyncio.create_task(opened(store, "2"))
    third = asyncio.create_task(opened(store, "3"))
    done, _ = await asyncio.wait({second, third}, timeout=0.1)

    await committed(store, first)

    assert not done
    (done_first,), _ = await asyncio.wait({second, third}, return_when=asyncio.FIRST_COMPLETED)
    winner = done_first.result()
    await committed(store, winner)
    await committed(store, await (second if winner.turn_id == "3" else third))
    assert len(await contents(store)) == 6


async def test_a_turn_waits_no_longer_than_it_may(store: ServiceClient) -> None:
    first = await opened(store, "1")

    with pytest.raises(SessionBusy, match=r"turn '1' has been under way since 2027-01-15T08:00:00\+00:00") as caught:
        await opened(store, "2", wait_seconds=0.05)
    with pytest.raises(SessionBusy):
        await opened(store, "2", on_conflict="reject")

    assert not caught.value.may_retry
    await committed(store, first)
    await committed(store, await opened(store, "3", wait_seconds=0))


async def test_a_client_that_leaves_the_line_keeps_nobody_waiting(desk: Desk, store: ServiceClient) -> None:
    first = await opened(store, "1")
    leaving = asyncio.create_task(opened(store, "2"))
    await asyncio.wait({leaving}, timeout=0.1)
    leaving.cancel()
    await asyncio.wait({leaving})
    await committed(store, first)

    third = await opened(store, "3", wait_seconds=20.0)

    assert texts(third.context.messages) == ["q1", "a1"]


@pytest.mark.parametrize("fails", [True, False])
async def test_a_turn_whose_memory_fails_or_whose_client_leaves_meanwhile_keeps_nobody_waiting(
    place: Store, fails: bool
) -> None:
    class Recollections(ListedRecollections):
        asked = asyncio.Event()

        async def recall(self, *_: object, **__: object) -> list[Recalled]:
            if self.asked.is_set():
                return []
            self.asked.set()
            if fails:
                raise OSError("broken")
            return await asyncio.Event().wait()  # type: ignore[return-value]

    recollected = Recollections()
    desk = desk_over(place, backend="vdb", max_dialogs=1, recollected=recollected)
    for name in ("1", "2"):
        await desk.told("s1", name, exchange(f"q{name}"))
    opening = asyncio.create_task(
        desk.turns.open("local", "s1", turn_wire.OpenTurn(turn_id="3", messages=[said("user", "q3")], question="q3"))
    )
    await recollected.asked.wait()
    if not fails:
        opening.cancel()
    with pytest.raises(OSError if fails else asyncio.CancelledError):
        await opening
    await desk.turns.close()

    next_one = await desk.turns.open("local", "s1", turn_wire.OpenTurn(turn_id="4", wait_seconds=0))

    assert next_one.turn_id == "4"
    assert texts((await desk.sessions.read("local", "s1")).messages) == ["q1", "an answer", "q2", "an answer"]


async def test_a_turn_may_go_on_in_a_branch_of_its_own(store: ServiceClient) -> None:
    await committed(store, await opened(store, "1"))
    first = await opened(store, "2")
    other = await opened(store, "3", on_conflict="fork")
    await committed(store, other)
    await committed(store, first)

    assert other.branch == "fork-1"
    assert await contents(store) == ["q1", "a1", "q2", "a2"]
    assert await contents(store, "fork-1") == ["q1", "a1", "q3", "a3"]
    assert (await committed(store, await opened(store, "4", branch="fork-1"))).message_count == 6


async def test_a_turn_that_is_renewed_is_held(store: ServiceClient, clock: Clock) -> None:
    turn = await opened(store, "1")
    clock.now += 14
    renewed = await store.call(turn_wire.RENEW, held(turn), session_id="s1")
    clock.now += 14

    assert renewed == turn_wire.TurnRenewed(lease_seconds=15.0)
    with pytest.raises(SessionBusy):
        await opened(store, "2", wait_seconds=0)


async def test_a_turn_that_comes_too_late_is_lost(store: ServiceClient, clock: Clock) -> None:
    slow = await opened(store, "1")
    clock.now += 15
    quick = await opened(store, "2")

    with pytest.raises(TurnLost):
        await committed(store, slow)
    with pytest.raises(TurnLost):
        await store.call(turn_wire.RENEW, held(slow), session_id="s1")
    await committed(store, quick)

    assert quick.context.messages == []
    assert await contents(store) == ["q1", "q2", "a2"]


async def test_an_abandoned_turn_leaves_nothing(store: ServiceClient) -> None:
    turn = await opened(store, "1")

    first = await store.call(turn_wire.ABANDON, held(turn), session_id="s1")
    again = await store.call(turn_wire.ABANDON, held(turn), session_id="s1")

    assert (first.status, again.status) == ("abandoned", "not_open")
    with pytest.raises(SessionNotFound):
        await contents(store)


async def test_a_turn_of_a_session_that_was_deleted_is_not_stored(store: ServiceClient) -> None:
    turn = await opened(store, "1")
    await store.call(wire.DELETE, Empty(), session_id="s1")

    with pytest.raises(SessionNotFound):
        await committed(store, turn)
    with pytest.raises(SessionNotFound):
        await store.call(turn_wire.RENEW, held(turn), session_id="s1")


async def test_an_interrupted_turn_is_taken_back_when_it_is_asked_again(store: ServiceClient) -> None:
    first = await opened(store, "key:1", digest="d")
    cut = said("assistant", "a par", metadata={"finish_reason": "interrupted"})
    await committed(store, first, [said("user", "q"), cut])

    again = await opened(store, "key:1", digest="d")
    await committed(store, again, exchange("q", "a whole answer"))

    assert (again.answered, again.context.messages) == (None, [])
    assert await contents(store) == ["q", "a whole answer"]


async def test_what_was_cleared_or_gone_on_from_is_a_conflict(store: ServiceClient) -> None:
    cut = [said("user", "q"), said("assistant", "a par", metadata={"finish_reason": "interrupted"})]
    await committed(store, await opened(store, "key:1", digest="d"), cut)
    await committed(store, await opened(store, "2"))
    with pytest.raises(Conflict, match="cut short"):
        await opened(store, "key:1", digest="d")
    await store.call(wire.CLEAR, Empty(), session_id="s1")

    with pytest.raises(Conflict, match="cleared"):
        await opened(store, "key:1", digest="d")


async def test_a_branch_that_is_not_there_is_named(store: ServiceClient) -> None:
    with pytest.raises(BranchNotFound, match="'other'"):
        await opened(store, "1", branch="other")
    assert await store.call(wire.STATS, Empty()) == wire.Stats(total_sessions=0, total_messages=0)


async def test_totals_are_told(store: ServiceClient) -> None:
    for name in "ab":
        await committed(store, await opened(store, "1", session_id=name))

    assert await store.call(wire.STATS, Empty()) == wire.Stats(total_sessions=2, total_messages=4)


@pytest.mark.parametrize("name", ["a b", "cleanup", "import"])
async def test_a_malformed_id_is_refused(store: ServiceClient, name: str) -> None:
    turn = turn_wire.HeldTurn(turn_id="t1", token=1, branch="main")
    commit = turn_wire.CommitTurn(turn_id="t1", token=1, branch="main", messages=exchange("q"))

    with pytest.raises(InvalidRequest):
        await opened(store, "t1", session_id=name)
    with pytest.raises(InvalidRequest):
        await store.call(turn_wire.COMMIT, commit, session_id=name)
    with pytest.raises(InvalidRequest):
        await store.call(turn_wire.RENEW, turn, session_id=name)
    with pytest.raises(InvalidRequest):
        await store.call(turn_wire.ABANDON, turn, session_id=name)


HELD = {"turn_id": "t", "token": 1, "branch": "main"}
USER = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {}),
        ("", {"turn_id": ""}),
        ("", {"turn_id": "x" * 301}),
        ("", {"turn_id": "t", "messages": [{"role": "king", "content": "x"}]}),
        ("", {"turn_id": "t", "messages": [{"content": "x"}]}),
        ("", {"turn_id": "t", "messages": [{"role": "user", "content": 5}]}),
        ("", {"turn_id": "t", "messages": [USER] * 1_001}),
        ("", {"turn_id": "t", "on_conflict": "fight"}),
        ("", {"turn_id": "t", "branch": "a/b"}),
        ("", {"turn_id": "t", "budget_tokens": -1}),
        ("", {"turn_id": "t", "budget_tokens": 1.5}),
        ("", {"turn_id": "t", "wait_seconds": -1}),
        ("/commit", {**HELD}),
        ("/commit", {**HELD, "messages": []}),
        ("/commit", {**HELD, "messages": [USER] * 1_001}),
        ("/commit", {**HELD, "branch": "a/b", "messages": [USER]}),
        ("/commit", {**HELD, "token": "many", "messages": [USER]}),
        ("/renew", {"turn_id": "t"}),
        ("/renew", {**HELD, "branch": ""}),
        ("/abandon", {**HELD, "branch": "."}),
    ],
)
@pytest.mark.slow
async def test_a_wrong_turn_is_a_400_and_stores_nothing(desk: Desk, path: str, body: dict[str, object]) -> None:
    async with desk.served() as url, aiohttp.ClientSession(url) as http, http.post(TURNS + path, json=body) as response:
        error = (await response.json())["error"]

    assert (response.status, error["code"]) == (400, "invalid_request")
    assert (await desk.sessions.stats("local")).total_sessions == 0
