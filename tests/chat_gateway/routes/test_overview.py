"""`/`, `/health`, `/readyz`."""

from typing import Any

import pytest

from sage_contracts.errors import ServiceUnavailable, StoreUnavailable
from sage_contracts.sessions import NewMessage
from tests.chat_gateway.stack import gateway
from tests.fakes.cluster import free_port
from tests.fakes.engine import FakeEngine
from tests.fakes.redis_server import RedisServer


async def test_the_root_tells_what_there_is(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis) as gate:
        answer = await gate.get("/")

    assert (answer.body["service"], answer.body["endpoints"]["chat"]) == ("sage-gateway", "/v1/chat/completions")


async def test_all_is_healthy(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.sessions["s"] = [NewMessage(role="user", content="x")] * 3
        answer = await gate.get("/health")

    assert (answer.status, answer.body["status"]) == (200, "healthy")
    assert answer.body["sessions"] == {"total_sessions": 1, "total_messages": 3}
    assert {name: told["status"] for name, told in answer.body["services"].items()} == {
        "session-store": "healthy",
        "rag-indexer": "healthy",
        "control-plane": "healthy",
        "engines": "healthy",
    }


@pytest.mark.parametrize(
    ("setting", "name"),
    [("session_store_url", "session-store"), ("rag_indexer_url", "rag-indexer")],
)
async def test_a_service_that_is_away_is_told(shared_redis: RedisServer, setting: str, name: str) -> None:
    settings: dict[str, Any] = {setting: f"http://127.0.0.1:{free_port()}"}
    async with gateway(shared_redis, FakeEngine(), **settings) as gate:
        answer = await gate.get("/health")

    assert (answer.status, answer.body["status"]) == (200, "degraded")
    assert answer.body["services"][name] == {"status": "unavailable", "detail": f"{name} cannot be reached"}


async def test_a_degraded_service_is_told(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.readiness = "degraded"
        answer = await gate.get("/health")

    assert answer.body["services"]["rag-indexer"]["status"] == "degraded"


async def test_totals_that_cannot_be_had_are_none(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.failing["store"] = StoreUnavailable("away")
        answer = await gate.get("/health")

    assert answer.body["sessions"] == {"total_sessions": 0, "total_messages": 0}


async def test_without_engine_it_cannot_work_at_all(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis) as gate:
        answers = [await gate.get("/health"), await gate.get("/readyz")]

    assert (answers[0].status, answers[0].body["status"]) == (503, "unavailable")
    assert (answers[1].status, answers[1].body["status"]) == (200, "degraded")


async def test_with_an_upstream_it_can(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, upstream_url="http://127.0.0.1:9", upstream_model="m") as gate:
        answer = await gate.get("/health")

    assert (answer.status, answer.body["services"]["engines"]["status"]) == (200, "degraded")


async def test_an_old_fleet_is_told(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(), fleet_poll_seconds=0.05) as gate:
        gate.services.failing["control"] = ServiceUnavailable("away")
        while (answer := await gate.get("/health")).body["services"]["engines"]["status"] == "healthy":
            pass
        ready = await gate.get("/readyz")
        chat = await gate.chat()

    assert "last one heard of" in answer.body["services"]["engines"]["detail"]
    assert "last one heard of" in ready.body["checks"]["fleet"]["detail"]
    assert chat.status == 200


async def test_without_control_plane_the_gateway_starts_and_says_so(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(), control_plane_url=f"http://127.0.0.1:{free_port()}") as gate:
        ready, chat = await gate.get("/readyz"), await gate.chat()

    assert "not told the fleet yet" in ready.body["checks"]["fleet"]["detail"]
    assert (chat.status, chat.code) == (503, "no_engine_available")
