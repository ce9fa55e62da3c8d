"""Chat on an engine's own model: passed on as it is."""

import asyncio

import msgspec
import openai
import pytest

from sage_contracts.sse import DONE, PING
from tests.chat_gateway.stack import CHAT, chat_body, first_frames, gateway
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import RedisServer


async def test_an_answer_is_passed_on_as_it_is(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(extra={"reasoning_content": "hm"}))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat()

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body["choices"][0]["message"] == {
        "role": "assistant",
        "content": "You said: hello",
        "reasoning_content": "hm",
    }


async def test_the_engine_gets_the_clients_own_bytes(shared_redis: RedisServer) -> None:
    body = b'{ "model":"tiny",  "messages":[{"role":"user","content":"h\\u00e9"}], "top_k": 1e1, "ignore_eos":true }'
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.post(CHAT, body)

    assert engine.seen[0].raw == body


async def test_the_engine_is_told_nothing_of_the_client(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.chat(headers={"Authorization": "Bearer mine", "Cookie": "a=b", "X-Request-Id": "r1"})

    told = engine.seen[0].headers
    assert ("authorization" in told, "cookie" in told, told["x-request-id"]) == (False, False, "r1")


async def test_only_harmless_headers_of_an_engine_pass(shared_redis: RedisServer) -> None:
    sly = {"X-Accel-Redirect": "/internal/fleet", "Set-Cookie": "a=b", "X-Engine": "1", "Location": "http://x"}
    engine = FakeEngine(script=Script(headers=sly))
    async with gateway(shared_redis, engine) as gate:
        answers = [await gate.chat(), await gate.chat(stream=True)]

    assert not {name.lower() for answer in answers for name in answer.headers} & {name.lower() for name in sly}


async def test_a_stream_is_passed_on_frame_by_frame(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a", "b"), extra={"reasoning_content": "hm"}))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat(stream=True)
        direct = await gate.http.post(engine.url + CHAT, json=chat_body(stream=True))

        assert answer.raw.replace(b"cmpl-1", b"cmpl-2") == await direct.read()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert (answer.headers["x-accel-buffering"], answer.headers["cache-control"]) == ("no", "no-cache")


async def test_the_first_frame_comes_before_the_last_is_made(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a", "b")))
    async with gateway(shared_redis, engine) as gate:
        engine.script = Script(words=("a", "b"), silent_after=1)
        async with gate.opened(CHAT, chat_body(stream=True)) as response:
            (frame,) = await first_frames(response, 1)

    assert b'"a"' in frame
    assert engine.finished == 0


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
async def test_frames_cut_anywhere_come_whole(shared_redis: RedisServer, piece_bytes: int) -> None:
    engine = FakeEngine(script=Script(words=("\u4f60", "\u597d"), piece_bytes=piece_bytes, newline="\r\n"))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat(stream=True)

    assert (answer.text, answer.done) == ("\u4f60\u597d", True)


async def test_huge_frames_pass(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a",), padding=3_000_000))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat(stream=True)

    assert [len(chunk["padding"]) for chunk in answer.chunks] == [3_000_000] * 2


@pytest.mark.slow
async def test_silence_is_filled_with_comments(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a", "b"), delay=0.15))
    async with gateway(shared_redis, engine, ping_seconds=0.05) as gate:
        answer = await gate.chat(stream=True)

    assert PING in answer.frames
    assert (answer.text, answer.done) == ("ab", True)


async def test_tool_calls_pass(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(tool_calls=(("add", '{"a": 1}'),)))
    async with gateway(shared_redis, engine) as gate:
        client = openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key="none", max_retries=0)
        async with client, client.chat.completions.stream(**chat_body()) as stream:
            completion = await stream.get_final_completion()

    (call,) = completion.choices[0].message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("add", '{"a": 1}')


async def test_a_large_request_reaches_the_engine_whole(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("ok",)))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat("x" * 5_000_000)

    assert (answer.text, len(engine.seen[0].raw)) == ("ok", len(msgspec.json.encode(chat_body("x" * 5_000_000))))


@pytest.mark.parametrize("rag", [False, None])
async def test_our_own_fields_never_reach_an_engine(shared_redis: RedisServer, rag: object) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.chat(rag=rag, session_id=None)

    assert set(engine.seen[0].body) == {"model", "messages"}


async def test_each_completion_has_an_id_of_its_own(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answers = await asyncio.gather(*(gate.chat() for _ in range(5)))

    assert len({answer.body["id"] for answer in answers}) == 5


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "tiny"}, None),
        ({"model": "tiny", "messages": []}, "messages"),
        ({"model": "tiny", "messages": "hi"}, "messages"),
        ({"model": "tiny", "messages": [1]}, "messages[0]"),
        ({"model": 3, "messages": [{}]}, "model"),
        ({"model": "tiny", "messages": [{}], "stream": "yes"}, "stream"),
        ({"model": "tiny", "messages": [{}], "session_id": 5}, "session_id"),
        ({"model": "tiny", "messages": [{}], "rag": {"top_k": 0}}, "rag.top_k"),
        ({"model": "tiny", "messages": [{}], "session_id": "a/b"}, "session_id"),
    ],
)
@pytest.mark.slow
async def test_a_wrong_field_is_named(shared_redis: RedisServer, body: object, param: str | None) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.post(CHAT, body)

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, "invalid_request", param)
    assert engine.seen == []


async def test_an_unknown_model_is_told_with_those_that_exist(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        client = openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key="none")
        async with client:
            with pytest.raises(openai.NotFoundError, match="Models that exist: tiny, sage-default") as caught:
                await client.chat.completions.create(model="huge", messages=[{"role": "user", "content": "hi"}])

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_a_stream_without_done_gets_one_when_the_answer_was_whole(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a",), without_done=True))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat(stream=True)

    assert answer.raw.count(DONE) == 1


async def test_an_answer_in_one_piece_to_a_stream_is_passed_on_too(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(status=201, refusal={"choices": []}))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat(stream=True)

    assert (answer.status, answer.body) == (201, {"choices": []})
