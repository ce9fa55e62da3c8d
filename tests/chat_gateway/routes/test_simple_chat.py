"""The earlier gateway's `/api/chat/*`."""

from typing import Any

import pytest

from sage_contracts.errors import StoreUnavailable
from tests.chat_gateway.stack import Gateway, gateway
from tests.fakes.bad_bodies import BAD_IDS
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import RedisServer

MESSAGE, SESSIONS = "/api/chat/message", "/api/chat/sessions"


async def test_a_message_is_answered_in_a_new_session(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answer = await gate.post(MESSAGE, {"message": "hello"})

    assert set(answer.body) == {"content", "session_id", "timestamp"}
    assert answer.body["content"] == "You said: hello"
    assert answer.body["timestamp"].endswith("Z")
    assert [one.content for one in gate.services.sessions[answer.body["session_id"]]] == ["hello", "You said: hello"]


async def test_a_session_goes_on(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first = await gate.post(MESSAGE, {"message": "a"})
        await gate.post(MESSAGE, {"message": "b", "session_id": first.body["session_id"], "model": "tiny"})

    assert [one["content"] for one in engine.seen[1].body["messages"]] == ["a", "You said: a", "b"]


async def test_a_stream_is_that_of_a_chat(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(words=("a", "b")))) as gate:
        answer = await gate.post(MESSAGE, {"message": "x", "session_id": "s1", "stream": True})

    assert (answer.text, answer.done, answer.headers["x-session-id"]) == ("ab", True, "s1")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"message": ""}, 400, "invalid_request"),
        ({"message": 5}, 400, "invalid_request"),
        ({"message": "x", "session_id": "a/b"}, 400, "invalid_request"),
        ({"message": "x", "model": "huge"}, 404, "model_not_found"),
    ],
)
async def test_a_wrong_message_is_refused(
    shared_redis: RedisServer, body: dict[str, Any], status: int, code: str
) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answer = await gate.post(MESSAGE, body)

    assert (answer.status, answer.code) == (status, code)


async def test_an_engines_refusal_is_passed_on(shared_redis: RedisServer) -> None:
    refusal = {"error": {"message": "too long", "code": "too_long"}}
    async with gateway(shared_redis, FakeEngine(script=Script(status=400, refusal=refusal))) as gate:
        answer = await gate.post(MESSAGE, {"message": "x"})

    assert (answer.status, answer.body) == (400, refusal)


async def test_the_life_of_a_session(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis) as gate:
        created = await gate.post(SESSIONS, {"title": "One"})
        session = f"{SESSIONS}/{created.body['id']}"
        await gate.post(SESSIONS, b"")
        renamed = await gate.send("PATCH", session + "/title", {"title": "Two"})
        listed = await gate.get(SESSIONS)
        cleared = await gate.send("POST", session + "/clear")
        read = await gate.get(session)
        deleted = await gate.send("DELETE", session)
        gone = await gate.get(session)

    assert [created.status, renamed.status, cleared.status, read.status, deleted.status] == [200] * 5
    assert renamed.body == {"status": "updated", "session_id": "s0", "title": "Two"}
    assert [(one["id"], one["title"]) for one in listed.body] == [("s0", "Two"), ("s1", "")]
    assert (cleared.body["status"], deleted.body["status"]) == ("cleared", "deleted")
    assert read.body["metadata"] == {"title": "Two"}
    assert (gone.status, gone.code) == (404, "session_not_found")


@pytest.mark.parametrize("name", BAD_IDS)
@pytest.mark.slow
async def test_a_name_that_is_none_is_refused(shared_redis: RedisServer, name: str) -> None:
    async with gateway(shared_redis) as gate:
        session = f"{SESSIONS}/{name}"
        answers = [
            await gate.send("GET", session),
            await gate.send("DELETE", session),
            await gate.send("POST", session + "/clear"),
            await gate.send("PATCH", session + "/title", {"title": "t"}),
        ]

    assert {answer.status for answer in answers} <= {400, 404, 405}
    assert all(answer.body["error"]["message"] for answer in answers)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", SESSIONS), ("POST", SESSIONS), ("GET", SESSIONS + "/s1")],
)
async def test_without_the_store_there_are_no_sessions(shared_redis: RedisServer, method: str, path: str) -> None:
    async with gateway(shared_redis) as gate:
        gate.services.failing["store"] = StoreUnavailable("Redis cannot be used now", retry_after=2)
        answer = await send(gate, method, path)

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "store_unavailable", "2")


async def send(gate: Gateway, method: str, path: str) -> Any:
    return await gate.send(method, path, {} if method == "POST" else None)
