"""`/sessions…` over real sockets, on both adapters."""

from typing import Any

import aiohttp
import pytest

from tests.session_store.parts import Clock, Desk, exchange

MISSING = [
    ("GET", "/sessions/nobody", None),
    ("DELETE", "/sessions/nobody", None),
    ("POST", "/sessions/nobody/clear", None),
    ("PATCH", "/sessions/nobody/title", {"title": "x"}),
    ("POST", "/sessions/nobody/fork", {}),
    ("GET", "/sessions/nobody/branches", None),
    ("POST", "/sessions/nobody/branches/main/select", None),
]


async def answer(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with http.request(method, path, json=body) as response:
        return response.status, await response.json()


async def talked(desk: Desk, session_id: str, turn_id: str = "1", question: str = "why?") -> None:
    await desk.told(session_id, turn_id, exchange(question))


@pytest.mark.parametrize("body", [None, b"", b"{}", b'{"title": null}'])
async def test_a_session_is_created_without_a_body(http: aiohttp.ClientSession, body: bytes | None) -> None:
    async with http.post("/sessions", data=body) as response:
        created = await response.json()

    assert response.status == 200
    assert created == {
        "id": created["id"],
        "messages": [],
        "created_at": "2027-01-15T08:00:00Z",
        "last_active": "2027-01-15T08:00:00Z",
        "metadata": {"title": "New chat", "message_count": 0, "branch": "main", "memory": "short_term"},
    }
    assert await answer(http, "GET", f"/sessions/{created['id']}") == (200, created)


async def test_a_session_has_the_id_it_is_given_once(http: aiohttp.ClientSession) -> None:
    body = {"session_id": "ada-1", "title": "Mine"}

    status, created = await answer(http, "POST", "/sessions", body)
    again, refused = await answer(http, "POST", "/sessions", {"session_id": "ada-1", "title": "Other"})
    wrong, told = await answer(http, "POST", "/sessions", {"session_id": "a/b"})

    assert (status, created["id"], created["metadata"]["title"]) == (200, "ada-1", "Mine")
    assert (again, refused["error"]["code"], refused["error"]["param"]) == (409, "session_exists", "session_id")
    assert (wrong, told["error"]["code"]) == (400, "invalid_request")
    assert await answer(http, "GET", "/sessions/ada-1") == (200, created)


async def test_a_session_is_read_with_its_messages(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "s1")

    status, session = await answer(http, "GET", "/sessions/s1")

    assert status == 200
    assert [(one["role"], one["content"], one["timestamp"]) for one in session["messages"]] == [
        ("user", "why?", "2027-01-15T08:00:00Z"),
        ("assistant", "an answer", "2027-01-15T08:00:00Z"),
    ]
    first, second = session["messages"]
    assert (first["parent_id"], second["parent_id"]) == (None, first["id"])
    assert session["metadata"] == {"title": "why?", "message_count": 2, "branch": "main", "memory": "short_term"}


async def test_sessions_are_listed_newest_first_with_totals(
    http: aiohttp.ClientSession, desk: Desk, clock: Clock
) -> None:
    await talked(desk, "old")
    clock.now += 1.5
    await talked(desk, "new", question="what?")

    status, listed = await answer(http, "GET", "/sessions")

    assert (status, [one["id"] for one in listed["sessions"]]) == (200, ["new", "old"])
    assert listed["sessions"][0] == {
        "id": "new",
        "title": "what?",
        "created_at": "2027-01-15T08:00:01.500000Z",
        "last_active": "2027-01-15T08:00:01.500001Z",
        "message_count": 2,
    }
    assert (listed["stats"], listed["has_more"], listed["next"]) == (
        {"total_sessions": 2, "total_messages": 4},
        False,
        None,
    )


async def test_a_page_leads_to_the_next(http: aiohttp.ClientSession, desk: Desk) -> None:
    for number in range(3):
        await talked(desk, f"s{number}")

    _, first = await answer(http, "GET", "/sessions?limit=2")
    _, second = await answer(http, "GET", f"/sessions?limit=2&after={first['next']}&q=")

    assert [one["id"] for one in first["sessions"] + second["sessions"]] == ["s2", "s1", "s0"]
    assert (first["has_more"], second["has_more"]) == (True, False)


async def test_a_title_is_searched_for(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "s1", question="Red fish")
    await talked(desk, "s2", question="Blue bird")

    _, listed = await answer(http, "GET", "/sessions?q=FISH")

    assert [one["id"] for one in listed["sessions"]] == ["s1"]


async def test_a_session_is_renamed(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "s1")

    renamed = await answer(http, "PATCH", "/sessions/s1/title", {"title": " Fish  and chips "})

    assert renamed == (200, {"status": "updated", "session_id": "s1", "title": "Fish and chips"})
    assert (await answer(http, "GET", "/sessions/s1"))[1]["metadata"]["title"] == "Fish and chips"


async def test_a_session_is_cleared(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "s1")

    assert await answer(http, "POST", "/sessions/s1/clear") == (200, {"status": "cleared", "session_id": "s1"})
    assert (await answer(http, "GET", "/sessions/s1"))[1]["messages"] == []


async def test_a_session_is_deleted_once(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "s1")

    assert await answer(http, "DELETE", "/sessions/s1") == (
        200,
        {
            "status": "deleted",
            "session_id": "s1",
            "removed": {
                "messages": 2,
                "branches": 1,
                "turns": 1,
                "locks": 0,
                "facts": 0,
                "relations": 0,
                "summaries": 0,
                "vectors": 0,
            },
        },
    )
    assert (await answer(http, "DELETE", "/sessions/s1"))[0] == 404


@pytest.mark.parametrize(("query", "removed"), [("", 1), ("?max_age_minutes=0", 2), ("?max_age_minutes=1e3", 0)])
async def test_idle_sessions_are_cleaned_up(
    http: aiohttp.ClientSession, desk: Desk, clock: Clock, query: str, removed: int
) -> None:
    await talked(desk, "old")
    clock.now += 31 * 60
    await talked(desk, "new")
    clock.now += 0.001

    cleaned = await answer(http, "POST", f"/sessions/cleanup{query}")

    assert cleaned == (200, {"status": "cleaned", "removed_sessions": removed})


@pytest.mark.parametrize(("method", "path", "body"), MISSING)
async def test_a_missing_session_is_a_404(
    http: aiohttp.ClientSession, method: str, path: str, body: dict[str, str] | None
) -> None:
    status, told = await answer(http, method, path, body)

    assert (status, told["error"]["code"], told["error"]["param"]) == (404, "session_not_found", "session_id")


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/sessions?limit=0", "limit"),
        ("/sessions?limit=1001", "limit"),
        ("/sessions?limit=many", "limit"),
        ("/sessions?after=nonsense", "after"),
    ],
)
async def test_a_wrong_query_is_a_400_that_names_it(http: aiohttp.ClientSession, path: str, param: str) -> None:
    status, told = await answer(http, "GET", path)

    assert (status, told["error"]["code"], told["error"]["param"]) == (400, "invalid_request", param)


@pytest.mark.parametrize("age", ["-1", "nan", "soon"])
async def test_a_wrong_age_is_a_400(http: aiohttp.ClientSession, age: str) -> None:
    status, told = await answer(http, "POST", f"/sessions/cleanup?max_age_minutes={age}")

    assert (status, told["error"]["param"]) == (400, "max_age_minutes")


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": " \u200b"}, {"title": None}, {"title": "x" * 501}])
async def test_a_wrong_title_is_a_400(http: aiohttp.ClientSession, desk: Desk, body: dict[str, Any]) -> None:
    await talked(desk, "s1")

    status, told = await answer(http, "PATCH", "/sessions/s1/title", body)

    assert (status, told["error"]["code"]) == (400, "invalid_request")


async def test_a_title_too_long_creates_nothing(http: aiohttp.ClientSession) -> None:
    status, _ = await answer(http, "POST", "/sessions", {"title": "x" * 501})

    assert (status, (await answer(http, "GET", "/sessions"))[1]["sessions"]) == (400, [])
