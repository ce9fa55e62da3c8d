"""Every POST route refuses every bad body, and goes on."""

import pytest

from tests.chat_gateway.stack import CHAT, gateway
from tests.fakes.bad_bodies import BAD_BODIES, HUGE_BODY
from tests.fakes.engine import FakeEngine
from tests.fakes.redis_server import RedisServer

ROUTES = (CHAT, "/v1/completions", "/v1/embeddings", "/api/chat/message", "/api/chat/sessions")
MAY_BE_EMPTY = {"/api/chat/sessions"}


@pytest.mark.parametrize("path", ROUTES)
async def test_bad_bodies_are_refused(shared_redis: RedisServer, path: str) -> None:
    async with gateway(shared_redis, FakeEngine(), embedders=[FakeEngine()]) as gate:
        answers = {name: await gate.post(path, body) for name, body in BAD_BODIES.items()}
        if path in MAY_BE_EMPTY:
            assert answers.pop("empty").status == 200

        assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, 400)
        assert {answer.code for answer in answers.values()} == {"invalid_request"}


@pytest.mark.parametrize("path", ROUTES)
async def test_a_huge_body_is_a_413(shared_redis: RedisServer, path: str) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answer = await gate.post(path, HUGE_BODY)

    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_retitle_is_checked_too(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis) as gate:
        for body in BAD_BODIES.values():
            async with gate.http.patch(f"{gate.url}/api/chat/sessions/s1/title", data=body) as response:
                assert response.status == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "unknown_route"),
        ("GET", "/internal/fleet", 404, "unknown_route"),
    ],
)
@pytest.mark.slow
async def test_a_wrong_address_is_told_as_such(
    shared_redis: RedisServer, method: str, path: str, status: int, code: str
) -> None:
    async with gateway(shared_redis) as gate:
        answer = await gate.send(method, path)

    assert (answer.status, answer.code) == (status, code)
