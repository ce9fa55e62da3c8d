"""Chat on an engine's own model, over real sockets."""

import msgspec

from tests.chat_gateway.stack import CHAT, chat_body, gateway
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import RedisServer


async def test_an_answer_is_passed_on_byte_for_byte(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(extra={"reasoning_content": "hm"}))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat()

    assert answer.status == 200
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


async def test_a_stream_is_passed_on_frame_by_frame(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a", "b")))
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat(stream=True)

    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert (answer.text, answer.done) == ("ab", True)


async def test_a_session_is_remembered(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.chat("I am Ada", session_id="s1")
        answer = await gate.chat("who am I?", session_id="s1", stream=True)

    assert (answer.done, answer.headers["x-session-id"]) == (True, "s1")
    assert [one["content"] for one in engine.seen[1].body["messages"]] == [
        "I am Ada",
        "You said: I am Ada",
        "who am I?",
    ]
    assert [one.content for one in gate.services.sessions["s1"]][2:] == ["who am I?", "You said: who am I?"]
    assert "session_id" not in engine.seen[1].body


async def test_sage_default_cites(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("It is", " blue [", "1", "].")))
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat("What colour?", model="sage-default", stream=True)

    assert answer.text == "It is blue [1](guide1.md#use-1)."
    assert msgspec.json.decode(engine.seen[0].raw)["model"] == "tiny"
    assert chat_body()["model"] == "tiny"
