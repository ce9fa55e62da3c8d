"""Chats that are remembered."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from sage_contracts.errors import StoreUnavailable
from sage_contracts.sessions import NewMessage
from sage_contracts.sse import DONE
from tests.chat_gateway.stack import CHAT, Gateway, chat_body, first_frames, gateway, within
from tests.fakes.cluster import free_port
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import AWAY_SECONDS, RedisServer


def told(gate: Gateway, session_id: str = "s1") -> list[tuple[str, Any]]:
    return [(one.role, one.content) for one in gate.services.sessions.get(session_id, [])]


@pytest.mark.parametrize("streams", [True, False])
async def test_a_session_is_remembered(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.chat("I am Ada", session_id="s1", stream=streams)
        answer = await gate.chat("who am I?", session_id="s1", stream=streams)

    assert (answer.status, answer.headers["x-session-id"]) == (200, "s1")
    assert [one["content"] for one in engine.seen[1].body["messages"]] == [
        "I am Ada",
        "You said: I am Ada",
        "who am I?",
    ]
    assert told(gate)[2:] == [("user", "who am I?"), ("assistant", "You said: who am I?")]


async def test_the_header_names_the_session_too(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answer = await gate.chat(headers={"X-Session-Id": "h:1"})

    assert (answer.headers["x-session-id"], len(told(gate, "h:1"))) == ("h:1", 2)


async def test_a_malformed_header_is_a_400(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answer = await gate.chat(headers={"X-Session-Id": "a/b"})

    assert (answer.status, answer.body["error"]["param"]) == (400, "session_id")


async def test_the_turn_is_stored_before_the_client_sees_done(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.turns.commit_gate.clear()
        async with gate.opened(CHAT, chat_body(stream=True, session_id="s1")) as response:
            frames = await first_frames(response, 3)
            assert DONE not in frames
            gate.services.turns.commit_gate.set()

            assert (await response.read()).endswith(DONE)
    assert len(told(gate)) == 2


async def test_what_the_store_knows_of_an_answer(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        await gate.chat(session_id="s1", stream=True, stream_options={"include_usage": True})

    assert gate.services.sessions["s1"][1].metadata == {
        "model": "tiny",
        "engine_id": "e0",
        "finish_reason": "stop",
        "completion_id": "cmpl-1",
        "created": 1,
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }


@pytest.mark.parametrize("streams", [True, False])
async def test_tool_calls_are_kept_with_their_results(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine(script=Script(tool_calls=(("add", '{"a": 1}'),)))
    async with gateway(shared_redis, engine) as gate:
        await gate.chat("1 + 1?", session_id="s1", stream=streams)
        engine.script = Script(words=("two",))
        result = {"role": "tool", "tool_call_id": "call_0", "content": "2"}
        await gate.post(CHAT, {"model": "tiny", "messages": [result], "session_id": "s1", "stream": streams})

    call = {"id": "call_0", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    kept = [{**one, "tool_calls": one.get("tool_calls")} for one in engine.seen[1].body["messages"]]
    assert [one["role"] for one in kept] == ["user", "assistant", "tool"]
    assert [{name: call[name] for name in call if name != "index"} for call in kept[1]["tool_calls"]] == [call]
    assert told(gate)[-1] == ("assistant", "two")


async def test_the_history_gets_what_is_left_of_the_window(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(max_model_len=4096)) as gate:
        await gate.chat("x" * 300, session_id="s1", max_tokens=500)

    assert [one.budget_tokens for one in gate.services.turns.opened] == [4096 - 108 - 500]


async def test_what_is_sent_again_takes_no_room_from_the_history(shared_redis: RedisServer) -> None:
    system = {"role": "system", "content": "y" * 30}
    messages = [
        {"role": "user", "content": "q" * 900},
        {"role": "assistant", "content": "a" * 900},
        {"role": "user", "content": "x" * 300},
    ]
    async with gateway(shared_redis, FakeEngine(max_model_len=4096)) as gate:
        for sent in (messages, [system, *messages]):
            await gate.post(CHAT, {"model": "tiny", "messages": sent, "session_id": "s1", "max_tokens": 500})

    plain, instructed = gate.services.turns.opened
    assert (plain.budget_tokens, plain.has_instructions) == (4096 - 108 - 500, False)
    assert (instructed.budget_tokens, instructed.has_instructions) == (4096 - 108 - 18 - 500, True)


async def test_without_a_known_window_the_store_decides(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        await gate.chat(session_id="s1")

    assert [one.budget_tokens for one in gate.services.turns.opened] == [None]


async def test_a_commit_whose_answer_was_lost_is_sent_again_and_stored_once(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.turns.lose_answers_of_commits = 1
        answer = await gate.chat(session_id="s1", stream=True)

    assert (answer.done, len(told(gate))) == (True, 2)


async def test_without_the_store_nothing_is_generated(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine, session_store_url=f"http://127.0.0.1:{free_port()}") as gate:
        answer = await gate.chat(session_id="s1", stream=True)
        without = await gate.chat(stream=True)

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "service_unavailable", "1")
    assert (without.status, len(engine.seen)) == (200, 1)


async def test_a_store_without_redis_says_so(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.failing["store"] = StoreUnavailable("Redis cannot be used now", retry_after=2)
        answer = await gate.chat(session_id="s1")

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "store_unavailable", "2")


async def test_a_turn_that_was_not_stored_is_told(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a", "b")))
    async with gateway(shared_redis, engine, commit_seconds=0.2) as gate:
        engine.gate.clear()
        answering = [asyncio.create_task(gate.chat(session_id=f"s{int(one)}", stream=one)) for one in (True, False)]
        await within_all(lambda: len(engine.seen) == 2)
        gate.services.failing["store"] = StoreUnavailable("Redis cannot be used now", retry_after=2)
        engine.gate.set()
        streamed, whole = await asyncio.gather(*answering)

    assert (streamed.text, streamed.done, streamed.chunks[-1]["error"]["code"]) == ("ab", False, "store_unavailable")
    assert (whole.status, whole.code) == (503, "store_unavailable")


async def within_all(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_what_a_client_that_left_has_seen_is_stored(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("one", " two", " three"), silent_after=2))
    async with gateway(shared_redis, engine) as gate:
        async with gate.opened(CHAT, chat_body(stream=True, session_id="s1")) as response:
            await first_frames(response, 2)
            response.close()
        await within(engine.left)
        await within(gate.services.turns.committed)

    assert told(gate) == [("user", "hello"), ("assistant", "one two")]
    assert gate.services.sessions["s1"][1].metadata["finish_reason"] == "interrupted"


@pytest.mark.parametrize("script", [Script(cut_after=2), Script(stop_after=2), Script(error_after=2)])
async def test_what_a_dead_engine_has_said_is_stored(shared_redis: RedisServer, script: Script) -> None:
    async with gateway(shared_redis, FakeEngine(script=script)) as gate:
        answer = await gate.chat("and more", stream=True, session_id="s1")
        await within(gate.services.turns.committed)

    assert ("error" in answer.chunks[-1], answer.done) == (True, False)
    assert told(gate) == [("user", "and more"), ("assistant", "You said:")]


@pytest.mark.parametrize("status", [400, 500])
async def test_a_refused_chat_leaves_nothing(shared_redis: RedisServer, status: int) -> None:
    engine = FakeEngine(script=Script(status=status, refusal={"error": {"message": "no"}}))
    async with gateway(shared_redis, engine) as gate:
        await gate.chat(stream=True, session_id="s1")
        await within(gate.services.turns.given_back)

    assert gate.services.sessions == {}


@pytest.mark.parametrize("body", [{"error": {"message": "out of memory"}}, {"error": "boom"}, {"choices": []}, {}])
async def test_an_error_told_with_status_200_is_a_502_and_leaves_nothing(
    shared_redis: RedisServer, body: object
) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(refusal=body))) as gate:
        answer = await gate.chat(session_id="s1")

    assert (answer.status, answer.code, told(gate)) == (502, "upstream_error", [])


async def test_a_history_sent_again_is_not_stored_twice(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.chat("a", session_id="s1")
        history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "You said: a"}]
        body = {"model": "tiny", "messages": [*history, {"role": "user", "content": "b"}], "session_id": "s1"}
        await gate.post(CHAT, body)

    assert [content for _, content in told(gate)] == ["a", "You said: a", "b", "You said: b"]
    assert [one["content"] for one in engine.seen[1].body["messages"]] == ["a", "You said: a", "b"]


async def test_other_fields_of_a_remembered_chat_reach_the_engine(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        gate.services.sessions["s1"] = [NewMessage(role="system", content="Be kind.")]
        await gate.chat(session_id="s1", top_k=3, chat_template_kwargs={"thinking": True})

    body = engine.seen[0].body
    assert (body["top_k"], body["chat_template_kwargs"], "session_id" in body) == (3, {"thinking": True}, False)
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}


@pytest.mark.parametrize(
    "message",
    [{"role": "robot", "content": "x"}, {"role": {}, "content": "x"}, {"content": "x"}, {"role": "user", "content": 1}],
)
async def test_a_message_that_cannot_be_stored_is_a_400(shared_redis: RedisServer, message: object) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.post(CHAT, {"model": "tiny", "messages": [message], "session_id": "s1"})

    assert (answer.status, engine.seen) == (400, [])
    assert answer.body["error"]["param"].startswith("messages[0]")


async def test_many_clients_at_once_get_their_own_answers(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(), FakeEngine()) as gate:
        names = [f"n{number}" for number in range(40)]
        answers = await asyncio.gather(*(gate.chat(name, session_id=name, stream=True) for name in names))

    assert [answer.text for answer in answers] == [f"You said: {name}" for name in names]
    assert [told(gate, name)[1][1] for name in names] == [f"You said: {name}" for name in names]


async def test_many_that_leave_at_once_disturb_nobody(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(delay=0.01))
    async with gateway(shared_redis, engine) as gate:
        names = [f"n{number}" for number in range(60)]

        async def asked(number: int, name: str) -> str:
            if number % 2:
                return (await gate.chat(name, session_id=name, stream=True)).text
            async with gate.opened(CHAT, chat_body(name, stream=True, session_id=name)) as response:
                await first_frames(response, 1)
                response.close()
            return f"You said: {name}"

        answers = await asyncio.gather(*(asked(number, name) for number, name in enumerate(names)))
        await gate.tells_load({})

        assert answers == [f"You said: {name}" for name in names]
        for name in names:
            assert told(gate, name)[0] == ("user", name)
            assert f"You said: {name}".startswith(told(gate, name)[1][1])


@pytest.mark.slow
async def test_a_store_that_accepts_and_never_answers_is_told_of_within_two_seconds(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        async with gateway(shared_redis, engine, session_store_url=url) as gate:
            chats = [
                gate.chat(session_id="s1", on_conflict=conflict, stream=streams, headers=headers)
                for conflict in ("queue", "reject", "fork")
                for streams in (True, False)
                for headers in ({}, {"Idempotency-Key": "k1"})
            ]
            others = [
                gate.post("/api/chat/message", {"message": "hello", "session_id": "s1"}),
                gate.post("/api/chat/sessions", {}),
                gate.get("/api/chat/sessions"),
                gate.get("/api/chat/sessions/s1"),
                gate.send("DELETE", "/api/chat/sessions/s1"),
            ]
            began = time.monotonic()
            answers = await asyncio.gather(*chats, *others)
            seconds = time.monotonic() - began

    told = {(one.status, one.code, one.headers["retry-after"]) for one in answers}
    assert told == {(503, "service_unavailable", "1")}
    assert (seconds < AWAY_SECONDS, engine.seen) == (True, [])
