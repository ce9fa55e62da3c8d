"""A named turn that is repeated while nobody serves its model."""

import asyncio
import json
from typing import Any

import pytest

from sage_contracts import fleet as fleet_wire
from tests.chat_gateway.routes.test_turns import KEY, MESSAGE, told, under_way
from tests.chat_gateway.stack import gateway, within
from tests.fakes.engine import FakeEngine
from tests.fakes.redis_server import RedisServer


@pytest.mark.parametrize("left", [[], ["ERROR"]])
@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("model", ["tiny", "sage-default"])
async def test_a_repeat_needs_no_engine(
    shared_redis: RedisServer, model: str, streams: bool, left: list[fleet_wire.State]
) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        fields: dict[str, Any] = {"model": model, "session_id": "s1", "stream": streams}
        first = await gate.chat("a", **fields, headers=KEY)
        await gate.loses_engines(*left)
        again = await gate.chat("a", **fields, headers={**KEY, "X-Sage-Explain": "1"})

    assert (again.status, again.text, again.headers["idempotency-replayed"]) == (200, first.text, "true")
    names = [one.chunks[0] if streams else one.body for one in (first, again)]
    assert [one["id"] for one in names] == ["cmpl-1"] * 2
    assert [one["model"] for one in names] == [model] * 2
    assert json.loads(again.headers["x-sage-receipt"])["engine_id"] is None
    assert len(told(gate)) == 2


async def test_a_repeat_of_the_earlier_gateways_message_needs_no_engine(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        body = {"message": "a", "session_id": "s1"}
        first = await gate.post(MESSAGE, body, **KEY)
        await gate.loses_engines()
        again = await gate.post(MESSAGE, body, **KEY)

    assert (again.body["content"], again.headers["idempotency-replayed"]) == (first.body["content"], "true")


async def test_a_repeat_of_what_a_leaving_engine_still_answers_waits_for_it(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first = await under_way(gate, engine, headers=KEY)
        await gate.loses_engines("DRAINING")
        again = asyncio.create_task(gate.chat("first", session_id="s1", headers=KEY))
        await within(gate.services.turns.asked_to_wait)
        engine.gate.set()
        answers = await asyncio.gather(first, again)

    assert [one.text for one in answers] == ["You said: first"] * 2
    assert [one.headers.get("idempotency-replayed") for one in answers] == [None, "true"]


@pytest.mark.parametrize(
    ("left", "status", "code"), [(["ERROR"], 503, "no_engine_available"), ([], 404, "model_not_found")]
)
async def test_what_was_never_answered_is_refused_without_engine_and_its_turn_given_back(
    shared_redis: RedisServer, left: list[fleet_wire.State], status: int, code: str
) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        await gate.loses_engines(*left)
        refused = await gate.chat("a", session_id="s1", headers=KEY)
        await within(gate.services.turns.given_back)

    assert (refused.status, refused.code, gate.services.sessions) == (status, code, {})


async def test_without_engine_nobody_waits_for_the_turn_of_another(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first = await under_way(gate, engine)
        await gate.loses_engines("DRAINING")
        refused = await gate.chat("second", session_id="s1", headers=KEY)
        engine.gate.set()
        await first

    assert (refused.status, gate.services.turns.asked_to_wait.is_set()) == (503, False)


async def test_without_engine_another_request_under_the_same_key_is_a_422_too(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        await gate.chat("a", session_id="s1", headers=KEY)
        await gate.loses_engines()
        other = await gate.chat("b", session_id="s1", headers=KEY)

    assert (other.status, other.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("fields", [{"session_id": "s1"}, {"headers": KEY}])
async def test_without_engine_the_store_is_not_asked_for_what_has_no_key_or_no_session(
    shared_redis: RedisServer, fields: dict[str, Any]
) -> None:
    async with gateway(shared_redis) as gate:
        refused = await gate.chat("a", model=None, **fields)

    assert (refused.status, gate.services.turns.opened) == (503, [])
