"""/v1/completions and /v1/embeddings."""

import openai
import pytest

from tests.chat_gateway.stack import Gateway, gateway
from tests.fakes.engine import FakeEngine, Script, vector
from tests.fakes.redis_server import RedisServer

COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"


def sdk(gate: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key="none")


async def test_embeddings_pass(shared_redis: RedisServer) -> None:
    embedder = FakeEngine("emb")
    async with gateway(shared_redis, embedders=[embedder]) as gate, sdk(gate) as client:
        found = await client.embeddings.create(model="emb", input=["a", "b"], encoding_format="float")

    assert [one.embedding for one in found.data] == [vector("a"), vector("b")]
    assert embedder.seen[0].body == {"input": ["a", "b"], "model": "emb", "encoding_format": "float"}


async def test_embeddings_without_a_model_go_to_the_one_there_is(shared_redis: RedisServer) -> None:
    embedder = FakeEngine("emb")
    async with gateway(shared_redis, FakeEngine(), embedders=[embedder]) as gate:
        answer = await gate.post(EMBEDDINGS, {"input": [[1, 2]], "dimensions": 8})

    assert answer.status == 200
    assert embedder.seen[0].body == {"input": [[1, 2]], "dimensions": 8, "model": "emb"}


@pytest.mark.parametrize(
    ("model", "status", "code"), [(None, 503, "no_engine_available"), ("huge", 404, "model_not_found")]
)
async def test_embeddings_need_an_embedding_engine(
    shared_redis: RedisServer, model: str | None, status: int, code: str
) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answer = await gate.post(EMBEDDINGS, {"input": "a", "model": model})

    assert (answer.status, answer.code) == (status, code)


async def test_an_engine_that_chats_may_embed_too(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.post(EMBEDDINGS, {"input": "a", "model": "tiny"})

    assert (answer.status, answer.body["data"][0]["embedding"]) == (200, vector("a"))


@pytest.mark.parametrize("streams", [True, False])
async def test_text_completions_pass(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine(script=Script(words=("a", "b")))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.post(COMPLETIONS, {"model": "tiny", "prompt": "x", "stream": streams})

    if streams:
        assert ("".join(chunk["choices"][0]["text"] for chunk in answer.chunks), answer.done) == ("ab", True)
    else:
        assert answer.body["choices"][0]["text"] == "ab"


@pytest.mark.parametrize("model", [None, "sage-default"])
async def test_text_completions_of_the_built_in_model_are_the_engines(
    shared_redis: RedisServer, model: str | None
) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.post(COMPLETIONS, {"model": model, "prompt": "x"})

    assert (answer.status, engine.seen[0].body) == (200, {"model": "tiny", "prompt": "x"})


@pytest.mark.parametrize("path", [COMPLETIONS, EMBEDDINGS])
@pytest.mark.parametrize(
    ("script", "status"),
    [(Script(status=422, refusal={"detail": "no"}), 422), (Script(cut_at_once=True), 502), (Script(status=503), 503)],
)
async def test_an_engines_failure_has_a_status(
    shared_redis: RedisServer, path: str, script: Script, status: int
) -> None:
    async with gateway(shared_redis, FakeEngine(script=script), embedders=[FakeEngine(script=script)]) as gate:
        answer = await gate.post(path, {"model": "tiny", "prompt": "x", "input": "x"})

    assert answer.status == status
    assert answer.body["error"]["message"]
