"""The fleet, kept up to date over a real Redis and a control-plane that comes and goes."""

import asyncio

import pytest

from sage_contracts.errors import ServiceUnavailable
from sage_contracts.names import FLEET_CHANNEL
from tests.chat_gateway.stack import Gateway, gateway
from tests.fakes.engine import FakeEngine
from tests.fakes.redis_server import RedisServer, redis_server


async def becomes(gate: Gateway, *models: str) -> None:
    """Return when the gateway serves these models."""
    async with asyncio.timeout(20):
        while [one["id"] for one in (await gate.get("/v1/models")).body["data"]] != [*models, "sage-default"]:
            await asyncio.sleep(0.02)


async def listens(gate: Gateway) -> None:
    """Return when the gateway hears hints."""
    async with asyncio.timeout(20):
        while not (await gate.redis.pubsub_numsub(FLEET_CHANNEL))[0][1]:
            await asyncio.sleep(0.02)


async def test_a_hint_brings_the_new_fleet(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        await listens(gate)
        gate.services.serves(FakeEngine("more"))
        await gate.hint()

        await becomes(gate, "tiny", "more")


async def test_without_redis_the_fleet_is_polled() -> None:
    with redis_server() as redis:
        async with gateway(redis, FakeEngine(), fleet_poll_seconds=0.1) as gate:
            redis.kill()
            gate.services.serves(FakeEngine("more"))

            await becomes(gate, "tiny", "more")
            assert (await gate.chat()).status == 200


async def test_hints_are_heard_again_after_a_restart_of_redis() -> None:
    with redis_server() as redis:
        async with gateway(redis, FakeEngine()) as gate:
            await listens(gate)
            await redis.restart()
            gate.services.serves(FakeEngine("more"))

            await becomes(gate, "tiny", "more")


@pytest.mark.slow
async def test_a_control_plane_that_is_late_is_asked_again_soon(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.failing["control"] = ServiceUnavailable("starting")
        gate.services.serves(FakeEngine("more"))
        await listens(gate)
        await gate.hint()
        chat = await gate.chat()
        del gate.services.failing["control"]

        await becomes(gate, "tiny", "more")
        assert chat.status == 200
