"""Turns that meet: two at once, one repeated, one that comes too late, one whose client has left."""

import asyncio
from typing import Any

import pytest

from sage_contracts.errors import InvalidRequest, StoreUnavailable
from sage_contracts.sessions import NewMessage
from tests.chat_gateway.stack import CHAT, Answered, Gateway, chat_body, first_frames, gateway, within
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import RedisServer

KEY = {"Idempotency-Key": "order-66"}
MESSAGE = "/api/chat/message"


def told(gate: Gateway, session_id: str = "s1") -> list[tuple[str, Any]]:
    return [(one.role, one.content) for one in gate.services.sessions.get(session_id, [])]


async def under_way(gate: Gateway, engine: FakeEngine, text: str = "first", **fields: Any) -> asyncio.Task[Answered]:
    """A chat of s1 that its engine has begun to answer, and goes on with when its gate is opened."""
    engine.gate.clear()
    asking = asyncio.create_task(gate.chat(text, session_id="s1", **fields))
    await within(engine.asked)
    return asking


async def test_the_second_of_two_turns_waits_and_knows_the_first(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate, gateway(shared_redis, beside=gate) as other:
        first = await under_way(gate, engine)
        second = asyncio.create_task(other.chat("second", session_id="s1", stream=True))
        await within(gate.services.turns.asked_to_wait)
        engine.gate.set()
        answers = await asyncio.gather(first, second)

    assert [one.text for one in answers] == ["You said: first", "You said: second"]
    assert [one["content"] for one in engine.seen[1].body["messages"]] == ["first", "You said: first", "second"]
    assert [content for _, content in told(gate)] == ["first", "You said: first", "second", "You said: second"]


async def test_who_does_not_want_to_wait_is_told_whose_turn_it_is(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first = await under_way(gate, engine)
        refused = await gate.chat("second", session_id="s1", on_conflict="reject")
        engine.gate.set()
        await first

    assert (refused.status, refused.code, refused.headers["x-should-retry"]) == (409, "session_busy", "false")
    assert gate.services.turns.opened[0].turn_id in refused.body["error"]["message"]
    assert len(engine.seen) == 1


async def test_who_waits_for_too_long_is_told_so(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine, turn_wait_seconds=0.2) as gate:
        first = await under_way(gate, engine)
        refused = await gate.chat("second", session_id="s1")
        engine.gate.set()
        await first

    assert (refused.status, refused.code) == (409, "session_busy")


async def test_a_turn_may_go_on_in_a_branch_of_its_own(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first = await under_way(gate, engine)
        engine.gate.set()
        engine.gate.clear()
        forked = asyncio.create_task(gate.chat("second", session_id="s1", on_conflict="fork"))
        while len(engine.seen) < 2:
            await asyncio.sleep(0.005)
        engine.gate.set()
        answers = await asyncio.gather(first, forked)
        again = await gate.chat("third", session_id="s1", session_branch="fork-1")

    assert [one.headers.get("x-sage-branch") for one in [*answers, again]] == [None, "fork-1", "fork-1"]
    assert {one.headers["x-session-id"] for one in [*answers, again]} == {"s1"}
    assert told(gate) == [("user", "first"), ("assistant", "You said: first")]
    assert [one["content"] for one in engine.seen[2].body["messages"]] == ["second", "You said: second", "third"]
    assert not {"session_branch", "on_conflict"} & engine.seen[2].body.keys()


@pytest.mark.parametrize("fields", [{"session_branch": "a/b"}, {"session_branch": 5}, {"on_conflict": "wait"}])
@pytest.mark.slow
async def test_a_wish_that_is_none_is_a_400(shared_redis: RedisServer, fields: dict[str, Any]) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        answer = await gate.chat(session_id="s1", **fields)

    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.body["error"]["param"] == next(iter(fields))


async def test_our_fields_reach_no_engine_without_a_session_either(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.chat(on_conflict="fork", session_branch="main", headers=KEY)

    assert set(engine.seen[0].body) == {"model", "messages"}
    assert gate.services.turns.opened == []


async def test_a_repeat_is_answered_again_and_neither_generated_nor_stored_twice(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(extra={"refusal": "no"}))
    async with gateway(shared_redis, engine) as gate, gateway(shared_redis, beside=gate) as other:
        first = await gate.chat("a", session_id="s1", headers=KEY)
        again = await other.chat("a", session_id="s1", headers=KEY)

    told_first, told_again = ({**one.body["choices"][0], "logprobs": None} for one in (first, again))
    assert told_first == told_again
    assert all(first.body[name] == again.body[name] for name in ("id", "object", "created", "model", "usage"))
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert again.headers["x-session-id"] == "s1"
    assert (len(engine.seen), len(told(gate))) == (1, 2)


async def test_a_stream_is_repeated_as_a_stream(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        fields: dict[str, Any] = {"session_id": "s1", "stream": True, "stream_options": {"include_usage": True}}
        first, again = [await gate.chat("a", **fields, headers=KEY) for _ in range(2)]

    assert (again.text, again.done, again.headers["idempotency-replayed"]) == (first.text, True, "true")
    assert {one["id"] for one in again.chunks} == {first.chunks[0]["id"]}
    assert again.chunks[-1]["usage"] == first.chunks[-1]["usage"]
    assert again.chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert {one["object"] for one in again.chunks} == {"chat.completion.chunk"}
    assert len(engine.seen) == 1


@pytest.mark.parametrize("streams", [True, False])
async def test_tool_calls_are_repeated(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine(script=Script(tool_calls=(("add", '{"a": 1}'), ("sub", "{}"))))
    async with gateway(shared_redis, engine) as gate:
        await gate.chat("a", session_id="s1", stream=streams, headers=KEY)
        again = await gate.chat("a", session_id="s1", stream=streams, headers=KEY)

    said = [one["choices"][0]["delta"] for one in again.chunks] if streams else [again.body["choices"][0]["message"]]
    calls = next(one["tool_calls"] for one in said if "tool_calls" in one)
    assert [(call["id"], call["function"]) for call in calls] == [
        ("call_0", {"name": "add", "arguments": '{"a": 1}'}),
        ("call_1", {"name": "sub", "arguments": "{}"}),
    ]
    assert [call.get("index") for call in calls] == ([0, 1] if streams else [None, None])


@pytest.mark.parametrize("streams", [True, False])
async def test_a_grounded_answer_is_repeated_with_the_places_of_its_citations(
    shared_redis: RedisServer, streams: bool
) -> None:
    engine = FakeEngine(script=Script(words=("It is", " blue [1]", ".")))
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        fields: dict[str, Any] = {"model": "sage-default", "session_id": "s1", "stream": streams}
        first = await gate.chat("a", **fields, headers=KEY)
        again = await gate.chat("a", **fields, headers={**KEY, "X-Sage-Explain": "1"})

    def message(answer: Answered) -> dict[str, Any]:
        if not streams:
            return dict(answer.body["choices"][0]["message"])
        deltas = [one["choices"][0]["delta"] for one in answer.chunks]
        return {name: value for delta in deltas for name, value in delta.items()}

    assert again.text == first.text
    assert message(again)["annotations"] == message(first)["annotations"]
    (source,) = message(first)["context"]["citations"]
    assert message(again)["context"] == message(first)["context"] | {"citations": [{**source, "content": ""}]}
    assert '"engine_id":null' in again.headers["x-sage-receipt"]
    assert (again.chunks if streams else [again.body])[0]["model"] == "sage-default"


@pytest.mark.parametrize("fails", [True, False])
async def test_a_repeat_does_not_wait_for_a_search_it_does_not_need(shared_redis: RedisServer, fails: bool) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        fields: dict[str, Any] = {"session_id": "s1", "rag": True, "headers": KEY}
        first = await gate.chat("a", **fields)
        if fails:
            gate.services.failing["indexer"] = InvalidRequest("no such filter", param="filters")
        else:
            gate.services.search_gate.clear()
        again = await asyncio.wait_for(gate.chat("a", **fields), 2)
        gate.services.search_gate.set()

    assert (again.text, again.headers["idempotency-replayed"]) == (first.text, "true")
    assert (len(gate.services.searches), len(engine.seen)) == (1, 1)


async def test_another_request_under_the_same_key_is_a_422(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        await gate.chat("a", session_id="s1", headers=KEY)
        other = await gate.chat("b", session_id="s1", headers=KEY)
        elsewhere = await gate.chat("b", session_id="s2", headers=KEY)

    assert (other.status, other.code, other.headers["x-should-retry"]) == (422, "idempotency_key_reused", "false")
    assert (elsewhere.status, len(told(gate)), len(engine.seen)) == (200, 2, 2)


async def test_the_same_request_in_other_bytes_is_the_same(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        message = b'[{"role":"user","content":"\\u00e4"}]'
        await gate.post(CHAT, b'{"model":"tiny","session_id":"s1","messages":' + message + b"}", **KEY)
        again = await gate.post(
            CHAT,
            '{"messages": [{"content": "ä", "role": "user"}], "session_id": "s1", "model": "tiny"}'.encode(),
            **KEY,
        )

    assert (again.status, again.headers["idempotency-replayed"], len(engine.seen)) == (200, "true", 1)


@pytest.mark.parametrize("conflict", ["queue", "reject", "fork"])
async def test_a_repeat_of_what_is_under_way_waits_for_it(shared_redis: RedisServer, conflict: str) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate, gateway(shared_redis, beside=gate) as other:
        fields: dict[str, Any] = {"on_conflict": conflict, "stream": True}
        first = await under_way(gate, engine, **fields, headers=KEY)
        again = asyncio.create_task(other.chat("first", session_id="s1", **fields, headers=KEY))
        await within(gate.services.turns.asked_to_wait)
        engine.gate.set()
        answers = await asyncio.gather(first, again)

    assert [one.text for one in answers] == ["You said: first"] * 2
    assert [one.headers.get("idempotency-replayed") for one in answers] == [None, "true"]
    assert (len(engine.seen), len(told(gate))) == (1, 2)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_is_none_is_a_400_where_it_counts(shared_redis: RedisServer, key: str) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        headers = {"Idempotency-Key": key}
        answers = [await gate.chat(session_id=session, headers=dict(headers)) for session in ("s1", None)]
        simple = [
            await gate.post(MESSAGE, {"message": "a", "session_id": session}, **headers) for session in ("s1", None)
        ]

    assert [one.status for one in [*answers, *simple]] == [400, 200, 400, 200]


async def test_an_interrupted_turn_is_answered_anew_under_its_key(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        engine.then(cut_after=2)
        broken = await gate.chat("a", session_id="s1", stream=True, headers=KEY)
        again = await gate.chat("a", session_id="s1", stream=True, headers=KEY)

    assert (broken.done, again.done, again.headers.get("idempotency-replayed")) == (False, True, None)
    assert told(gate) == [("user", "a"), ("assistant", "You said: a")]
    assert [one["content"] for one in engine.seen[1].body["messages"]] == ["a"]


@pytest.mark.parametrize("streams", [True, False])
async def test_the_earlier_gateways_message_has_a_key_too(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        body = {"message": "a", "session_id": "s1", "model": "tiny", "stream": streams}
        first, again = await gate.post(MESSAGE, body, **KEY), await gate.post(MESSAGE, body, **KEY)
        other = await gate.post(MESSAGE, {**body, "message": "b"}, **KEY)

    if streams:
        assert first.text == again.text == "You said: a"
    else:
        assert first.body["content"] == again.body["content"] == "You said: a"
    assert (again.headers["idempotency-replayed"], other.status, len(engine.seen)) == ("true", 422, 1)


async def test_without_a_session_named_a_message_has_none_to_repeat(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first, again = [await gate.post(MESSAGE, {"message": "a"}, **KEY) for _ in range(2)]

    assert first.body["session_id"] != again.body["session_id"]
    assert len(engine.seen) == 2


@pytest.mark.slow
async def test_a_turn_is_held_for_as_long_as_it_is_answered(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate, gateway(shared_redis, beside=gate) as other:
        gate.services.turns.lease_seconds = 1.5
        first = await under_way(gate, engine, stream=True)
        second = asyncio.create_task(other.chat("second", session_id="s1"))
        async with asyncio.timeout(30):
            while len(gate.services.turns.renewed) < 4:
                await asyncio.sleep(0.01)
        assert len(engine.seen) == 1
        engine.gate.set()
        await asyncio.gather(first, second)

    assert [content for _, content in told(gate)] == ["first", "You said: first", "second", "You said: second"]


@pytest.mark.parametrize("streams", [True, False])
async def test_who_comes_too_late_is_told_and_overwrites_nothing(shared_redis: RedisServer, streams: bool) -> None:
    engine, quick = FakeEngine(), FakeEngine("quick")
    async with gateway(shared_redis, engine, quick) as gate:
        first = await under_way(gate, engine, stream=streams)
        del gate.services.turns.pending["s1", "main"]
        second = await gate.chat("second", model="quick", session_id="s1")
        engine.gate.set()
        late = await first

    assert second.status == 200
    if streams:
        assert (late.text, late.done, late.chunks[-1]["error"]["code"]) == ("You said: first", False, "turn_lost")
    else:
        assert (late.status, late.code, late.headers["x-should-retry"]) == (409, "turn_lost", "false")
    assert [content for _, content in told(gate)] == ["second", "You said: second"]


@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_ends_well_when_its_session_was_deleted_meanwhile(
    shared_redis: RedisServer, streams: bool
) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first = await under_way(gate, engine, stream=streams)
        await gate.send("DELETE", "/api/chat/sessions/s1")
        engine.gate.set()
        answer = await first

    assert (answer.status, answer.text) == (200, "You said: first")
    assert answer.done or not streams
    assert "s1" not in gate.services.sessions


async def test_who_leaves_while_waiting_gives_the_place_up(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        first = await under_way(gate, engine)
        async with asyncio.timeout(30):
            leaving = asyncio.create_task(gate.chat("second", session_id="s1"))
            await gate.services.turns.asked_to_wait.wait()
            leaving.cancel()
            third = asyncio.create_task(gate.chat("third", session_id="s1"))
            while len(gate.services.turns.opened) < 4:
                await asyncio.sleep(0.005)
        engine.gate.set()
        await asyncio.gather(first, third)
        await within(gate.services.turns.given_back)

    assert [content for _, content in told(gate)] == ["first", "You said: first", "third", "You said: third"]
    assert len(engine.seen) == 2


async def test_who_leaves_before_the_answer_has_begun_leaves_nothing(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        asking = await under_way(gate, engine)
        asking.cancel()
        await within(gate.services.turns.given_back)
        await within(engine.left)

    assert gate.services.sessions == {}


async def test_who_leaves_in_mid_stream_leaves_the_turn_to_the_next(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("one", " two", " three"), silent_after=2))
    async with gateway(shared_redis, engine) as gate:
        async with gate.opened(CHAT, chat_body("a", stream=True, session_id="s1")) as response:
            await first_frames(response, 2)
            response.close()
        engine.script = Script()
        await gate.chat("b", session_id="s1")

    assert [content for _, content in told(gate)] == ["a", "one two", "b", "You said: b"]


async def test_an_engine_that_breaks_without_a_word_leaves_nothing(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(error_after=0))) as gate:
        answer = await gate.chat(stream=True, session_id="s1")
        await within(gate.services.turns.given_back)

    assert (answer.done, gate.services.sessions) == (False, {})


async def test_a_search_that_is_refused_gives_the_turn_back(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        gate.services.failing["indexer"] = InvalidRequest("no such filter", param="filters")
        refused = await gate.chat(session_id="s1", rag=True)
        await within(gate.services.turns.given_back)

    assert (refused.status, engine.seen, gate.services.sessions) == (400, [], {})


async def test_how_long_ago_it_was_asked_is_told_with_the_answer(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(words=("a", "b"), delay=0.1))) as gate:
        await gate.chat(session_id="s1")
        (commit,) = gate.services.turns.commits

    assert 0.2 <= commit.seconds < 30


async def test_a_store_that_comes_back_in_time_gets_the_turn(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.turns.refuse_commits = 3
        answer = await gate.chat(session_id="s1", stream=True)

    assert (answer.done, len(told(gate)), len(gate.services.turns.commits)) == (True, 2, 4)


@pytest.mark.parametrize("streams", [True, False])
async def test_where_sessions_are_not_required_a_chat_goes_on_without(shared_redis: RedisServer, streams: bool) -> None:
    async with gateway(shared_redis, FakeEngine(), session_required=False) as gate:
        gate.services.failing["store"] = StoreUnavailable("Redis cannot be used now", retry_after=2)
        off = await gate.chat("a", session_id="s1", stream=streams, headers=KEY)
        del gate.services.failing["store"]
        on = await gate.chat("b", session_id="s1", stream=streams)

    assert (off.status, off.text, off.headers["x-sage-memory"]) == (200, "You said: a", "off")
    assert "x-session-id" not in off.headers
    assert ("x-sage-memory" in on.headers, on.headers["x-session-id"]) == (False, "s1")
    assert told(gate) == [("user", "b"), ("assistant", "You said: b")]


async def test_a_chat_without_a_session_does_not_notice_a_store_that_hangs(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate:
        gate.services.turns.open_gate.clear()
        hanging = [asyncio.create_task(gate.chat(session_id=f"s{number}")) for number in range(120)]
        while len(gate.services.turns.opened) < 120:
            await asyncio.sleep(0.005)
        answer = await gate.chat("hello", rag=True)
        still_hanging = sum(not one.done() for one in hanging)
        gate.services.turns.open_gate.set()
        await asyncio.gather(*hanging)

    assert (answer.status, still_hanging) == (200, 120)


@pytest.mark.slow
async def test_many_turns_of_one_session_at_once_are_all_stored_one_after_the_other(
    shared_redis: RedisServer,
) -> None:
    async with gateway(shared_redis, FakeEngine()) as gate, gateway(shared_redis, beside=gate) as other:
        gates = [gate, other]
        names = [f"n{number}" for number in range(120)]
        answers = await asyncio.gather(
            *(gates[number % 2].chat(name, session_id="s1") for number, name in enumerate(names))
        )

    said = told(gate)
    assert {one.status for one in answers} == {200}
    assert sorted(content for role, content in said if role == "user") == sorted(names)
    for (_, question), (_, answer) in zip(said[::2], said[1::2], strict=True):
        assert answer == f"You said: {question}"


async def test_the_fields_of_a_message_that_nobody_here_knows_are_told_again(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(extra={"refusal": "no", "reasoning_content": "hm"}))
    async with gateway(shared_redis, engine) as gate:
        question = {"role": "user", "content": "a", "cache_control": {"type": "ephemeral"}, "id": "m9"}
        await gate.post(CHAT, {"model": "tiny", "messages": [question], "session_id": "s1"})
        await gate.chat("b", session_id="s1")

    assert gate.services.sessions["s1"][0].extra == {"cache_control": {"type": "ephemeral"}}
    assert gate.services.sessions["s1"][1].extra == {"refusal": "no", "reasoning_content": "hm"}
    assert engine.seen[1].body["messages"][:2] == [
        {"role": "user", "content": "a", "cache_control": {"type": "ephemeral"}},
        {"role": "assistant", "content": "You said: a", "refusal": "no"},
    ]


async def test_the_fields_of_a_streamed_message_are_put_together(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("a", "b", "c"), extra={"reasoning_content": "hm "}))
    async with gateway(shared_redis, engine) as gate:
        gate.services.sessions["s1"] = [NewMessage(role="user", content="before")]
        await gate.chat("x", session_id="s1", stream=True)

    assert gate.services.sessions["s1"][-1].extra == {"reasoning_content": "hm hm hm "}
