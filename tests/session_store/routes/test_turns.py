"""The gateway's own routes over real sockets, called as the gateway calls them."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from sage_chassis.client import ServiceClient
from sage_contracts import sessions as wire
from sage_contracts.call import Empty
from sage_contracts.errors import InvalidRequest
from tests.session_store.parts import Desk, exchange, said, texts


@pytest.fixture
async def store(desk: Desk) -> AsyncIterator[ServiceClient]:
    async with desk.served() as url, aiohttp.ClientSession() as http:
        yield ServiceClient(http, url, name="session-store")


async def test_a_turn_is_stored_and_told(store: ServiceClient) -> None:
    call = wire.NewMessage(
        role="assistant", tool_calls=[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    )
    messages = [said("user", "q", name="anna"), call, said("tool", "42", tool_call_id="c1"), said("assistant", "a")]
    turn = wire.Turn(turn_id="t1", messages=messages)

    kept = await store.call(wire.COMMIT, turn, session_id="s1")
    told = await store.call(wire.CONTEXT, wire.ContextRequest(budget_tokens=500), session_id="s1")

    assert kept == wire.TurnStored(session_id="s1", message_count=4, repeated=False)
    assert texts(told.messages) == ["q", None, "42", "a"]
    assert (told.messages[0].name, told.messages[1].tool_calls, told.messages[2].tool_call_id) == (
        "anna",
        call.tool_calls,
        "c1",
    )
    assert told.dropped == 0


async def test_a_turn_stored_again_is_answered_as_before(store: ServiceClient) -> None:
    turn = wire.Turn(turn_id="t1", messages=exchange("q"))
    await store.call(wire.COMMIT, turn, session_id="s1")

    again = await store.call(wire.COMMIT, turn, session_id="s1")

    assert again == wire.TurnStored(session_id="s1", message_count=2, repeated=True)


async def test_the_budget_decides_how_much_is_told(store: ServiceClient) -> None:
    for number in range(3):
        await store.call(wire.COMMIT, wire.Turn(turn_id=str(number), messages=exchange("q")), session_id="s1")

    told = await store.call(wire.CONTEXT, wire.ContextRequest(budget_tokens=13), session_id="s1")

    assert (len(told.messages), told.dropped) == (2, 4)
    assert told.tokens <= 13


async def test_totals_are_told(store: ServiceClient) -> None:
    for name in "ab":
        await store.call(wire.COMMIT, wire.Turn(turn_id="1", messages=exchange("q")), session_id=name)

    assert await store.call(wire.STATS, Empty()) == wire.Stats(total_sessions=2, total_messages=4)


async def test_a_context_needs_no_body(desk: Desk) -> None:
    path = "/internal/sessions/s1/context"
    async with desk.served() as url, aiohttp.ClientSession(url) as http, http.post(path) as response:
        told = await response.json()

    assert (response.status, told) == (200, {"session_id": "s1", "messages": [], "dropped": 0, "tokens": 0})


@pytest.mark.parametrize("name", ["a b", "cleanup"])
async def test_a_malformed_id_is_refused(store: ServiceClient, name: str) -> None:
    turn = wire.Turn(turn_id="t1", messages=exchange("q"))

    with pytest.raises(InvalidRequest):
        await store.call(wire.COMMIT, turn, session_id=name)
    with pytest.raises(InvalidRequest):
        await store.call(wire.CONTEXT, wire.ContextRequest(), session_id=name)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"turn_id": "t"},
        {"turn_id": "t", "messages": []},
        {"turn_id": "", "messages": [{"role": "user"}]},
        {"turn_id": "x" * 129, "messages": [{"role": "user"}]},
        {"turn_id": "t", "messages": [{"role": "king", "content": "x"}]},
        {"turn_id": "t", "messages": [{"content": "x"}]},
        {"turn_id": "t", "messages": [{"role": "user", "content": 5}]},
        {"turn_id": "t", "messages": [{"role": "user"}] * 1_001},
    ],
)
async def test_a_wrong_turn_is_a_400_and_stores_nothing(desk: Desk, body: dict[str, object]) -> None:
    path = "/internal/sessions/s1/turns/append"
    async with desk.served() as url, aiohttp.ClientSession(url) as http, http.post(path, json=body) as response:
        error = (await response.json())["error"]

    assert (response.status, error["code"]) == (400, "invalid_request")
    assert (await desk.sessions.stats("local")).total_sessions == 0


@pytest.mark.parametrize("budget", [-1, 1.5, "many"])
async def test_a_wrong_budget_is_a_400(desk: Desk, budget: object) -> None:
    path, body = "/internal/sessions/s1/context", {"budget_tokens": budget}
    async with desk.served() as url, aiohttp.ClientSession(url) as http, http.post(path, json=body) as response:
        assert response.status == 400
