"""Branches over real sockets, on both adapters."""

from typing import Any

import aiohttp
import pytest

from sage_contracts import turns as wire
from tests.session_store.parts import Clock, Desk, said

FORK = "/sessions/s1/fork"


async def ask(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with http.request(method, path, json=body) as response:
        return response.status, await response.json()


async def talked(desk: Desk, question: str, answer: str, branch: str | None = None, system: str = "") -> None:
    asked = [said("system", system)] if system else []
    turn = wire.OpenTurn(turn_id=question, messages=[*asked, said("user", question)], branch=branch)
    opened = await desk.turns.open("local", "s1", turn)
    messages = [*asked, said("user", question), said("assistant", answer)]
    await desk.turns.commit(
        "local",
        "s1",
        wire.CommitTurn(turn_id=question, token=opened.token, branch=opened.branch, messages=messages),
    )


async def told(desk: Desk, branch: str | None = None) -> list[object]:
    """What an engine would be told next."""
    turn = wire.OpenTurn(turn_id="looking", messages=[said("user", "?")], branch=branch)
    opened = await desk.turns.open("local", "s1", turn)
    held = wire.HeldTurn(turn_id="looking", token=opened.token, branch=opened.branch)
    await desk.turns.abandon("local", "s1", held)
    return [message.content for message in opened.context.messages]


async def contents(http: aiohttp.ClientSession, query: str = "") -> list[object]:
    _, session = await ask(http, "GET", f"/sessions/s1{query}")
    return [message["content"] for message in session["messages"]]


async def ids(http: aiohttp.ClientSession) -> list[str]:
    _, session = await ask(http, "GET", "/sessions/s1")
    return [message["id"] for message in session["messages"]]


async def test_a_question_is_edited_by_a_fork_before_it(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "one", "eins")
    await talked(desk, "two", "zwei")
    first = await ids(http)

    made = await ask(http, "POST", FORK, {"at": first[2], "before": True})
    await talked(desk, "zwo", "two")

    assert made == (
        200,
        {"name": "fork-1", "head": first[1], "message_count": 2, "is_head": True, "forked_at": first[1]},
    )
    assert await contents(http) == ["one", "eins", "zwo", "two"]
    assert await contents(http, "?branch=main") == ["one", "eins", "two", "zwei"]
    _, session = await ask(http, "GET", "/sessions/s1")
    assert [message["parent_id"] for message in session["messages"]] == [None, *(await ids(http))[:3]]
    assert session["messages"][2]["parent_id"] == first[1]
    assert session["metadata"]["branch"] == "fork-1"
    assert session["metadata"]["branches"] == ["fork-1", "main"]


async def test_branches_are_listed_and_one_of_them_is_the_head(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "one", "eins")
    first = await ids(http)
    await ask(http, "POST", FORK, {"at": first[0], "name": "other", "select": False})
    await talked(desk, "two", "zwei", branch="other")

    _, listed = await ask(http, "GET", "/sessions/s1/branches")
    main = {"name": "main", "head": first[1], "message_count": 2, "is_head": True, "forked_at": None}
    other = listed["branches"][1]
    assert (listed["session_id"], listed["branches"][0]) == ("s1", main)
    assert (other["name"], other["message_count"], other["is_head"], other["forked_at"]) == (
        "other",
        3,
        False,
        first[0],
    )
    assert await contents(http) == ["one", "eins"]

    chosen = await ask(http, "POST", "/sessions/s1/branches/other/select")
    assert chosen == (200, {**other, "is_head": True})
    assert await contents(http) == ["one", "two", "zwei"]
    _, page = await ask(http, "GET", "/sessions")
    assert (page["sessions"][0]["message_count"], page["stats"]["total_messages"]) == (3, 3)


async def test_a_fork_without_more_said_leaves_the_end_of_the_head(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "one", "eins")

    _, made = await ask(http, "POST", FORK)
    _, again = await ask(http, "POST", FORK, {"before": True})

    assert (made["name"], made["message_count"], made["head"]) == ("fork-1", 2, (await ids_of(http, "main"))[-1])
    assert (again["name"], again["message_count"]) == ("fork-2", 1)


async def ids_of(http: aiohttp.ClientSession, branch: str) -> list[str]:
    _, session = await ask(http, "GET", f"/sessions/s1?branch={branch}")
    return [message["id"] for message in session["messages"]]


async def test_an_empty_session_forks_into_an_empty_branch(http: aiohttp.ClientSession) -> None:
    _, made = await ask(http, "POST", "/sessions")

    _, fork = await ask(http, "POST", f"/sessions/{made['id']}/fork", {"name": "x"})

    assert fork == {"name": "x", "head": None, "message_count": 0, "is_head": True, "forked_at": None}


async def test_a_branch_has_the_instructions_that_were_in_force_where_it_left(
    http: aiohttp.ClientSession, desk: Desk
) -> None:
    await talked(desk, "one", "eins", system="be brief")
    await talked(desk, "two", "zwei", system="be kind")
    first = await ids(http)

    await ask(http, "POST", FORK, {"at": first[2], "name": "early"})
    await ask(http, "POST", FORK, {"at": first[0], "before": True, "name": "none"})

    assert await told(desk, "main") == ["be kind", "one", "eins", "two", "zwei"]
    assert await told(desk, "early") == ["be brief", "one", "eins"]
    assert await told(desk, "none") == []


async def test_a_message_of_another_branch_can_be_forked_at(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "one", "eins")
    await talked(desk, "two", "zwei")
    main = await ids(http)
    await ask(http, "POST", FORK, {"at": main[1], "name": "short"})

    _, made = await ask(http, "POST", FORK, {"at": main[3], "name": "long"})

    assert made["message_count"] == 4


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("POST", FORK, {"at": "msg_nobody"}), (404, "message_not_found")),
        (("POST", FORK, {"name": "main"}), (409, "branch_exists")),
        (("POST", FORK, {"name": "a/b"}), (400, "invalid_request")),
        (("POST", FORK, {"name": ""}), (400, "invalid_request")),
        (("GET", "/sessions/s1?branch=nobody", None), (404, "branch_not_found")),
        (("GET", "/sessions/s1?branch=a%2Fb", None), (400, "invalid_request")),
        (("POST", "/sessions/s1/branches/nobody/select", None), (404, "branch_not_found")),
        (("POST", "/sessions/s1/branches/a%20b/select", None), (400, "invalid_request")),
    ],
)
async def test_what_cannot_be_is_said_why(
    http: aiohttp.ClientSession, desk: Desk, asked: tuple[str, str, object], expected: tuple[int, str]
) -> None:
    await talked(desk, "one", "eins")

    answered, error = await ask(http, *asked)

    assert (answered, error["error"]["code"]) == expected
    assert await contents(http) == ["one", "eins"]


async def test_a_wrong_name_of_a_fork_is_blamed_on_its_field(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "one", "eins")

    _, told = await ask(http, "POST", FORK, {"name": "a/b"})

    assert told["error"]["param"] == "name"


async def test_a_session_has_a_hundred_branches_at_most(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "one", "eins")
    for _ in range(99):
        status, _ = await ask(http, "POST", FORK, {"select": False})
        assert status == 200

    status, error = await ask(http, "POST", FORK)

    assert (status, error["error"]["code"]) == (409, "conflict")


async def test_a_cleared_session_has_one_empty_branch(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk, "one", "eins")
    await ask(http, "POST", FORK)
    await ask(http, "POST", "/sessions/s1/clear")

    _, listed = await ask(http, "GET", "/sessions/s1/branches")
    await talked(desk, "two", "zwei")

    assert listed["branches"] == [
        {"name": "main", "head": None, "message_count": 0, "is_head": True, "forked_at": None}
    ]
    assert await contents(http) == ["two", "zwei"]


async def test_what_is_under_way_is_shown(http: aiohttp.ClientSession, desk: Desk, clock: Clock) -> None:
    turn = wire.OpenTurn(turn_id="t", messages=[said("user", "still?", metadata={"a": 1})])
    await desk.turns.open("local", "s1", turn)

    _, session = await ask(http, "GET", "/sessions/s1")

    (pending,) = session["metadata"]["pending"]
    assert (session["messages"], session["metadata"]["message_count"]) == ([], 0)
    assert (pending["turn_id"], pending["branch"], pending["since"]) == ("t", "main", "2027-01-15T08:00:00Z")
    assert [(one["content"], one["metadata"]) for one in pending["messages"]] == [("still?", {"a": 1})]
