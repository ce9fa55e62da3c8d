"""`/memory…` over real sockets."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.fakes.bad_bodies import BAD_BODIES
from tests.session_store.parts import Clock, Desk, Store, desk_over, exchange

FACTS = {"facts": [{"key": "city", "value": "Lisbon"}, {"subject": "Ingrid", "key": "job", "value": "carpenter"}]}


@pytest.fixture
async def kv(place: Store, clock: Clock) -> AsyncIterator[aiohttp.ClientSession]:
    """A service whose sessions remember facts; there is one, `s1`."""
    desk = desk_over(place, clock, backend="kv")
    await talked(desk, "s1", 1)
    async with desk.served() as url, aiohttp.ClientSession(url) as session:
        yield session


async def answer(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with http.request(method, path, json=body) as response:
        return response.status, await response.json()


async def test_the_memory_says_how_it_is_set_up(http: aiohttp.ClientSession) -> None:
    async with http.get("/memory/config") as response:
        told = await response.json()

    assert (told["backend"], told["max_dialogs"]) == ("short_term", 20)
    assert told["available_backends"] == ["short_term", "vdb", "kv", "graph"]
    assert (told["config"]["max_dialogs"], told["config"]["budget_tokens"]) == (20, 4_096)


async def test_the_memory_says_how_full_it_is(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, max_dialogs=4)
    await talked(desk, "s1", 3)
    await talked(desk, "s2", 9)
    async with desk.served() as url, aiohttp.ClientSession(url) as http, http.get("/memory/stats") as response:
        told = await response.json()

    assert told == {
        "total_sessions": 2,
        "sessions": {
            "s1": {"backend": "short_term", "dialog_count": 3, "max_dialogs": 4, "usage_percent": 75.0},
            "s2": {"backend": "short_term", "dialog_count": 4, "max_dialogs": 4, "usage_percent": 100.0},
        },
    }


async def talked(desk: Desk, session_id: str, dialogs: int) -> None:
    for number in range(dialogs):
        await desk.told(session_id, str(number), exchange("q"))


async def test_facts_are_put_shown_and_forgotten_one_by_one(kv: aiohttp.ClientSession) -> None:
    stored = await answer(kv, "PUT", "/sessions/s1/memory/facts", FACTS)
    shown = await answer(kv, "GET", "/sessions/s1/memory")
    city = next(item for item in shown[1]["items"] if item["key"] == "city")
    forgotten = await answer(kv, "DELETE", f"/sessions/s1/memory/{city['id']}")
    again = await answer(kv, "DELETE", f"/sessions/s1/memory/{city['id']}")
    left = await answer(kv, "GET", "/sessions/s1/memory")
    stats = await answer(kv, "GET", "/memory/stats")

    assert (stored[0], [fact["subject"] for fact in stored[1]["facts"]]) == (200, ["user", "Ingrid"])
    assert (shown[1]["backend"], city["kind"], city["value"], city["message_id"]) == ("kv", "fact", "Lisbon", None)
    assert forgotten == (200, {"session_id": "s1", "item_id": city["id"], "status": "forgotten"})
    assert (again[0], again[1]["error"]["code"]) == (404, "memory_item_not_found")
    assert [item["value"] for item in left[1]["items"]] == ["carpenter"]
    assert stats[1]["sessions"]["s1"]["items"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/sessions/nobody/memory", None),
        ("PUT", "/sessions/nobody/memory/facts", FACTS),
        ("DELETE", "/sessions/nobody/memory/fact_1", None),
    ],
)
async def test_a_session_there_is_not_is_a_404(kv: aiohttp.ClientSession, method: str, path: str, body: object) -> None:
    status, told = await answer(kv, method, path, body)

    assert (status, told["error"]["code"]) == (404, "session_not_found")


@pytest.mark.parametrize("name", ["a%2Fb", "a%00b", "x" * 129, "a%20b"])
async def test_a_malformed_id_is_no_item_and_no_session(kv: aiohttp.ClientSession, name: str) -> None:
    told = [
        await answer(kv, "DELETE", f"/sessions/s1/memory/{name}"),
        await answer(kv, "GET", f"/sessions/{name}/memory"),
        await answer(kv, "PUT", f"/sessions/{name}/memory/facts", FACTS),
    ]

    assert all(status in {400, 404} and "error" in body for status, body in told), told


@pytest.mark.parametrize(
    "body",
    [
        {"facts": []},
        {"facts": [{"key": "", "value": "x"}]},
        {"facts": [{"key": " ", "value": "x"}]},
        {"facts": [{"key": "k", "value": "x" * 2_001}]},
        {"facts": [{"key": "k", "value": "v", "subject": ""}]},
        {"facts": [{"key": "k", "value": 3}]},
        {"facts": [{"key": "k", "value": "v"}] * 201},
        {},
    ],
)
async def test_wrong_facts_are_a_400_and_none_is_kept(kv: aiohttp.ClientSession, body: object) -> None:
    status, told = await answer(kv, "PUT", "/sessions/s1/memory/facts", body)

    assert (status, told["error"]["code"]) == (400, "invalid_request")
    assert (await answer(kv, "GET", "/sessions/s1/memory"))[1]["items"] == []


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_bad_bodies_are_refused(kv: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    async with kv.put("/sessions/s1/memory/facts", data=body, headers=headers) as response:
        told = await response.json()

    assert (response.status, "error" in told) == (400, True)


async def test_short_term_keeps_no_facts_and_says_so(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "s1", 1)

    status, told = await answer(http, "PUT", "/sessions/s1/memory/facts", FACTS)
    shown = await answer(http, "GET", "/sessions/s1/memory")

    assert (status, "kv or graph" in told["error"]["message"]) == (400, True)
    assert shown == (200, {"session_id": "s1", "backend": "short_term", "items": []})
