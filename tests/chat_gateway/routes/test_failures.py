"""Engines that refuse, break off, hang or are not there."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from sage_contracts import fleet as fleet_wire
from tests.chat_gateway.stack import CHAT, Gateway, chat_body, first_frames, gateway, within
from tests.fakes.cluster import free_port
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import RedisServer

DEAD = (
    Script(cut_at_once=True),
    Script(stop_after=0),
    Script(cut_before_body=True),
    Script(status=503),
    Script(status=429),
)


async def until_asked(engine: FakeEngine) -> AsyncIterator[None]:
    """Goes round until the engine has been asked, at least once: which of two equals is chosen is left to chance."""
    async with asyncio.timeout(60):
        yield
        while not engine.seen:
            yield


@pytest.mark.parametrize("script", DEAD)
async def test_another_engine_answers_in_place_of_one_that_cannot(shared_redis: RedisServer, script: Script) -> None:
    engines = [FakeEngine(script=script), FakeEngine(script=Script(words=("well",)))]
    async with gateway(shared_redis, *engines) as gate:
        answers = [await gate.chat(stream=True) async for _ in until_asked(engines[0])]

    assert {(answer.status, answer.text, answer.done) for answer in answers} == {(200, "well", True)}


async def test_another_engine_answers_a_whole_answer_too(shared_redis: RedisServer) -> None:
    engines = [FakeEngine(script=Script(cut_after=1)), FakeEngine(script=Script(words=("well",)))]
    async with gateway(shared_redis, *engines) as gate:
        answers = [await gate.chat() async for _ in until_asked(engines[0])]

    assert {answer.text for answer in answers} == {"well"}


async def test_a_stopped_engine_is_passed_over(shared_redis: RedisServer) -> None:
    engines = [FakeEngine(), FakeEngine()]
    async with gateway(shared_redis, *engines) as gate:
        await asyncio.gather(*(gate.chat() for _ in range(4)))
        await engines[0].stop()
        answers = [await gate.chat() for _ in range(6)]

    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize(
    ("script", "status", "code", "retry_after"),
    [
        (Script(status=503), 503, "no_engine_available", "1"),
        (Script(status=502), 502, "upstream_error", None),
        (Script(status=500, refusal={"error": {"message": "boom"}}), 502, "upstream_error", None),
        (Script(status=401, refusal={"error": {"message": "sk-x"}}), 502, "upstream_error", None),
        (Script(status=302, headers={"Location": "http://169.254.169.254/"}), 502, "upstream_error", None),
        (Script(cut_at_once=True), 502, "upstream_error", None),
        (Script(cut_before_body=True), 502, "upstream_error", None),
        (Script(stop_after=0), 502, "upstream_error", None),
        (Script(status=422, refusal="bad"), 422, "engine_refused", None),
        (
            Script(status=429, refusal={"error": {"message": "slow", "code": "busy"}}, headers={"Retry-After": "9"}),
            429,
            "busy",
            "9",
        ),
        (Script(status=429, headers={"Retry-After": "٣"}), 429, "rate_limit_exceeded", None),
        (Script(status=400, refusal={"error": {"message": "m", "code": "too_long"}}), 400, "too_long", None),
        (Script(status=413, refusal={"error": {"message": "m", "code": "too_large"}}), 413, "too_large", None),
    ],
)
@pytest.mark.slow
async def test_the_only_engines_failure_has_a_status(
    shared_redis: RedisServer, script: Script, status: int, code: str, retry_after: str | None
) -> None:
    async with gateway(shared_redis, FakeEngine(script=script)) as gate:
        answer = await gate.chat(stream=True)

    assert (answer.status, answer.code, answer.headers.get("retry-after")) == (status, code, retry_after)
    assert answer.headers.get("x-should-retry") == ("false" if status == 502 else None)


LARGE = Script(words=("well",) * 40, extra={"x": "y" * 100})


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("fields", [{"session_id": "s1"}, {"rag": True}, {"model": "sage-default"}])
async def test_an_answer_that_is_held_has_a_bound(
    shared_redis: RedisServer, fields: dict[str, Any], streams: bool
) -> None:
    script = LARGE if streams else Script(extra={"x": "y" * 4000})
    async with gateway(shared_redis, FakeEngine(script=script), answer_bytes=4000) as gate:
        answer = await gate.chat(**fields, stream=streams)

    told = answer.chunks[-1] if streams else answer.body
    assert (told["error"]["code"], told["error"]["type"]) == ("answer_too_large", "server_error")
    if streams:
        assert (answer.status, answer.done) == (200, False)
    else:
        assert (answer.status, answer.headers["x-should-retry"]) == (502, "false")


async def test_a_stream_that_only_passes_may_be_of_any_size(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=LARGE), answer_bytes=4000) as gate:
        answer = await gate.chat(stream=True)

    assert (answer.text, answer.done) == ("well" * 40, True)


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/embeddings"])
async def test_an_answer_in_one_piece_has_a_bound(shared_redis: RedisServer, path: str) -> None:
    async with gateway(shared_redis, FakeEngine(), answer_bytes=10) as gate:
        answer = await gate.post(path, {**chat_body(), "prompt": "hi", "input": "hi"})

    assert (answer.status, answer.code) == (502, "answer_too_large")


async def test_an_engine_that_is_gone_is_a_503(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await engine.stop()
        answer = await gate.chat()

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "no_engine_available", "1")


@pytest.mark.parametrize("script", [Script(status=502), Script(status=500), Script(cut_at_once=True)])
@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
async def test_a_failure_has_a_receipt_for_who_asks(shared_redis: RedisServer, script: Script, path: str) -> None:
    async with gateway(shared_redis, FakeEngine(script=script)) as gate:
        answer = await gate.post(path, {**chat_body(), "prompt": "hi"}, x_sage_explain="1")
        plain = await gate.chat()

    assert (answer.status, len(json.loads(answer.headers["X-Sage-Receipt"])["attempts"])) == (502, 1)
    assert "X-Sage-Receipt" not in plain.headers


@pytest.mark.parametrize("state", ["STARTING", "DRAINING", "STOPPED", "ERROR"])
async def test_a_model_without_ready_engine_says_what_to_run(
    shared_redis: RedisServer, state: fleet_wire.State
) -> None:
    async with gateway(shared_redis) as gate:
        gate.services.serves(FakeEngine("sleepy"), state=state)
        await fleet_is_known(gate)
        answer = await gate.chat(model="sleepy")

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "no_engine_available", "5")
    assert "sage llm engine register" in answer.body["error"]["message"]


async def fleet_is_known(gate: Gateway) -> None:
    """The gateway has heard of the fleet as it is now: it has one engine, that is not READY."""
    async with asyncio.timeout(30):
        while (await gate.chat(model="sleepy")).status == 404:
            await gate.hint()


@pytest.mark.parametrize("script", [Script(cut_after=2), Script(stop_after=2)])
async def test_an_engine_that_dies_in_mid_stream_is_told_in_the_stream(
    shared_redis: RedisServer, script: Script
) -> None:
    async with gateway(shared_redis, FakeEngine(script=script)) as gate:
        answer = await gate.chat("some more words", stream=True)

    assert (answer.status, answer.text, answer.done) == (200, "You said:", False)
    assert answer.chunks[-1]["error"]["code"] == "engine_broke_off"


async def test_an_error_the_engine_tells_passes_without_done(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(error_after=1))) as gate:
        answer = await gate.chat(stream=True)

    assert (answer.chunks[-1]["error"]["message"], answer.done) == ("out of memory", False)


async def test_the_sdk_raises_when_a_stream_was_cut(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(stop_after=1))) as gate:
        client = openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key="none")
        async with client:
            stream = await client.chat.completions.create(
                model="tiny", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            with pytest.raises(openai.APIError, match="before it had finished"):
                async for _ in stream:
                    pass


async def test_an_engine_that_goes_silent_is_told_in_the_stream(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(silent_after=1))
    async with gateway(shared_redis, engine, idle_seconds=0.2) as gate:
        answer = await gate.chat(stream=True)

    assert answer.chunks[-1]["error"]["code"] == "idle_timeout"
    assert "silent for 0.2 s" in answer.chunks[-1]["error"]["message"]
    await within(engine.left)


@pytest.mark.parametrize(
    ("streams", "settings", "code", "told"),
    [
        (True, {"first_byte_seconds": 0.2}, "first_byte_timeout", "did not begin its answer within 0.2 s"),
        (False, {"answer_seconds": 0.2}, "request_timeout", "did not answer within 0.2 s"),
    ],
)
async def test_an_engine_that_never_begins_is_a_504(
    shared_redis: RedisServer, streams: bool, settings: dict[str, Any], code: str, told: str
) -> None:
    engine = FakeEngine(script=Script(silent_after=0))
    async with gateway(shared_redis, engine, **settings) as gate:
        answer = await gate.chat(stream=streams)

    assert (answer.status, answer.code) == (504, code)
    assert told in answer.body["error"]["message"]
    await within(engine.left)


async def test_a_stream_that_does_not_end_is_told_in_the_stream(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("x",) * 500, delay=0.02))
    async with gateway(shared_redis, engine, stream_seconds=0.2) as gate:
        answer = await gate.chat(stream=True)

    assert (answer.chunks[-1]["error"]["code"], answer.done) == ("request_timeout", False)
    await within(engine.left)


async def test_a_client_that_leaves_a_stream_stops_the_engine(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(silent_after=2))
    async with gateway(shared_redis, engine) as gate:
        async with gate.opened(CHAT, chat_body(stream=True)) as response:
            await first_frames(response, 2)
            response.close()
        await within(engine.left)

    assert engine.finished == 0


@pytest.mark.parametrize("streams", [True, False])
async def test_a_client_that_leaves_before_the_answer_stops_the_engine(
    shared_redis: RedisServer, streams: bool
) -> None:
    engine = FakeEngine(script=Script(silent_after=0))
    async with gateway(shared_redis, engine) as gate:
        waiting = asyncio.create_task(gate.chat(stream=streams))
        await within(engine.asked)
        waiting.cancel()
        await within(engine.left)

        assert (await gate.get("/livez")).status == 200


async def test_a_client_that_leaves_a_flood_stops_the_engine(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("x",) * 5000, padding=20_000))
    async with gateway(shared_redis, engine) as gate:
        async with gate.opened(CHAT, chat_body(stream=True)) as response:
            await first_frames(response, 2)
            response.close()
        await within(engine.left)


@pytest.mark.slow
async def test_no_engine_is_kept_busy_by_requests_that_are_over(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("x",), silent_after=1))
    engine.next_scripts = [Script(), Script(cut_after=1), Script(status=400), Script(cut_at_once=True)]
    async with gateway(shared_redis, engine) as gate:
        for _ in range(4):
            await gate.chat(stream=True)
        async with gate.opened(CHAT, chat_body(stream=True)) as response:
            await first_frames(response, 1)
            await gate.tells_load({"e0": 1})
            response.close()

        await gate.tells_load({})


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "http://127.0.0.1:{port}/v1/"])
async def test_the_upstream_answers_while_no_engine_is_ready(shared_redis: RedisServer, url: str) -> None:
    upstream = FakeEngine("big")
    port = free_port()
    await upstream.start(port)
    settings: dict[str, Any] = {
        "upstream_url": url.format(port=port),
        "upstream_model": "big",
        "upstream_api_key": "sk-up",
    }
    async with gateway(shared_redis, **settings) as gate:
        answers = [await gate.chat(model=None), await gate.chat(model="gpt-x"), await gate.chat(model="big")]
        models = (await gate.get("/v1/models")).body["data"]
    await upstream.stop()

    assert [answer.status for answer in answers] == [200] * 3
    assert [seen.body["model"] for seen in upstream.seen] == ["big", "gpt-x", "big"]
    assert {seen.headers["authorization"] for seen in upstream.seen} == {"Bearer sk-up"}
    assert [model["id"] for model in models] == ["big", "sage-default"]
