"""/v1/models, and one of them."""

import openai
import pytest

from tests.chat_gateway.routes.test_passthrough import sdk
from tests.chat_gateway.stack import gateway
from tests.fakes.engine import FakeEngine
from tests.fakes.redis_server import RedisServer


async def test_models_are_those_that_can_answer(shared_redis: RedisServer) -> None:
    async with (
        gateway(shared_redis, FakeEngine(), FakeEngine(), embedders=[FakeEngine("emb")]) as gate,
        sdk(gate) as client,
    ):
        models = await client.models.list()

    assert [(model.id, model.owned_by, model.object) for model in models.data] == [
        ("tiny", "engine", "model"),
        ("sage-default", "sage", "model"),
        ("emb", "engine", "model"),
    ]


NAMES = ("tiny", "org/name", "org/sub/qwen2.5:0.5b", "ünï %2F+?#&", "/mnt/models/qwen")


@pytest.mark.parametrize("name", [*NAMES, "sage-default", "emb/e5"])
async def test_the_sdk_reads_one_model_as_it_is_listed(shared_redis: RedisServer, name: str) -> None:
    engines = map(FakeEngine, NAMES)
    async with gateway(shared_redis, *engines, embedders=[FakeEngine("emb/e5")]) as gate, sdk(gate) as client:
        found = await client.models.retrieve(name)
        listed = [model async for model in client.models.list()]

    assert found == next(model for model in listed if model.id == name)


async def test_slashes_need_not_be_escaped(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine("org/name")) as gate:
        answer = await gate.get("/v1/models/org/name")

    assert (answer.status, answer.body["id"], answer.body["object"]) == (200, "org/name", "model")


@pytest.mark.parametrize("name", ["gone", "org", "org/name/x", "org/sleepy"])
async def test_a_model_that_is_not_listed_is_not_found(shared_redis: RedisServer, name: str) -> None:
    async with gateway(shared_redis, FakeEngine("org/name")) as gate, sdk(gate) as client:
        gate.services.serves(FakeEngine("org/sleepy"), state="ERROR")
        await gate.hint()
        with pytest.raises(openai.NotFoundError) as refused:
            await client.models.retrieve(name)

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    assert f"'{name}' is not served now. Models that are: org/name, sage-default" in str(refused.value)


async def test_before_the_fleet_is_known_no_model_is_called_unknown(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, control_plane_url="http://127.0.0.1:1") as gate:
        answers = [await gate.get(f"/v1/models/{name}") for name in ("org/name", "sage-default")]

    assert [one.status for one in answers] == [503, 200]
    assert (answers[0].code, answers[0].headers["retry-after"]) == ("no_engine_available", "2")


async def test_a_model_is_only_read(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        refused = await gate.send("DELETE", "/v1/models/tiny")

    assert (refused.status, refused.code) == (405, "method_not_allowed")
