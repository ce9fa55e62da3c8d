"""Gateways and session-stores together, over one Valkey: nothing faked but engines, documents and the fleet."""

import asyncio
import signal
import time
import uuid
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.chat_gateway.replicas import legal, pair, store
from tests.chat_gateway.stack import CHAT, chat_body, first_frames, gateway, within
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import AWAY_SECONDS, RedisServer, redis_server

pytestmark = pytest.mark.slow

KEY = {"Idempotency-Key": "k1"}


async def test_turns_of_one_session_over_two_of_each_are_stored_in_a_legal_order(shared_redis: RedisServer) -> None:
    async with pair(shared_redis, FakeEngine()) as both:
        told = await asyncio.gather(*(both.client(number, 6) for number in range(16)))
        said = await both.said()

    assert {one.status for answers in told for one in answers} == {200}
    assert legal(said, 16, 6)


async def test_a_turn_sees_all_that_was_answered_before_it(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("yes",)))
    async with pair(shared_redis, engine) as both:
        for number in range(4):
            await both.chat(f"q{number}", gate=number % 2, stream=True)

    assert [one["content"] for one in engine.seen[3].body["messages"]] == ["q0", "yes", "q1", "yes", "q2", "yes", "q3"]


@pytest.mark.parametrize("streams", [True, False])
async def test_a_repeat_is_the_same_turn_whichever_replica_gets_it(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine()
    async with pair(shared_redis, engine) as both:
        answers = await asyncio.gather(
            *(both.chat("a", gate=number % 2, stream=streams, headers=dict(KEY)) for number in range(8))
        )
        other = await both.chat("b", stream=streams, headers=dict(KEY))
        said = await both.said()

    names = [one.chunks[0]["id"] if streams else one.body["id"] for one in answers]
    assert (len(set(names)), {one.text for one in answers}) == (1, {"You said: a"})
    assert sorted("idempotency-replayed" in one.headers for one in answers) == [False, *[True] * 7]
    assert (len(engine.seen), said, other.status) == (1, ["a", "You said: a"], 422)


async def test_an_interrupted_turn_is_taken_back_and_answered_anew(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with pair(shared_redis, engine) as both:
        engine.then(cut_after=2)
        await both.chat("a", stream=True, headers=dict(KEY))
        again = await both.chat("a", gate=1, stream=True, headers=dict(KEY))
        said = await both.said()

    assert (again.done, said) == (True, ["a", "You said: a"])


async def test_without_engine_a_repeat_is_what_is_stored_and_an_interrupted_turn_stays_as_it_was(
    shared_redis: RedisServer,
) -> None:
    engine = FakeEngine(script=Script(words=("one", " two", " three")))
    async with pair(shared_redis, engine) as both:
        answered = await both.chat("a", headers=dict(KEY))
        engine.then(cut_after=2)
        cut = {"Idempotency-Key": "k2"}
        await both.chat("b", stream=True, headers=dict(cut))
        async with asyncio.timeout(10):
            while len(before := await both.read()) < 4:
                await asyncio.sleep(0.005)
        for gate in both.gates:
            await gate.loses_engines("ERROR")
        again = await both.chat("a", gate=1, headers=dict(KEY))
        refused = [await both.chat("b", stream=True, headers=dict(cut)), await both.chat("c", headers=dict(cut))]
        new = await both.gates[0].chat("a", session_id=f"{both.session}-new", headers=dict(KEY))
        async with asyncio.timeout(10):
            while await both.read() != before:
                await asyncio.sleep(0.005)
            while "error" not in (gone := await both.asked("GET", f"/sessions/{both.session}-new")):
                await asyncio.sleep(0.005)

    assert (again.text, again.headers["idempotency-replayed"]) == (answered.text, "true")
    assert [one.status for one in [*refused, new]] == [503, 422, 503]
    assert [one["content"] for one in before] == ["a", "one two three", "b", "one two"]
    assert before[-1]["metadata"]["finish_reason"] == "interrupted"
    assert gone["error"]["code"] == "session_not_found"


async def test_what_was_interrupted_is_a_conflict_once_the_session_has_gone_on(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with pair(shared_redis, engine) as both:
        engine.then(cut_after=2)
        await both.chat("a", stream=True, headers=dict(KEY))
        await both.chat("b")
        again = await both.chat("a", stream=True, headers=dict(KEY))

    assert (again.status, again.code) == (409, "conflict")


async def test_a_session_that_began_with_a_turn_of_nothing_is_not_there(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(status=400, refusal={"error": {"message": "no"}}))
    async with pair(shared_redis, engine) as both:
        await both.chat("a", stream=True)
        engine.script = Script()
        await both.chat("b")
        said = await both.said()

    assert said == ["b", "You said: b"]


async def test_one_waits_one_is_refused_and_one_goes_on_elsewhere(shared_redis: RedisServer) -> None:
    engine, quick = FakeEngine(), FakeEngine("quick")
    async with pair(shared_redis, engine, quick) as both:
        engine.gate.clear()
        first = asyncio.create_task(both.chat("first"))
        await within(engine.asked)
        second = asyncio.create_task(both.chat("second", gate=1))
        refused = await both.chat("third", gate=1, model="quick", on_conflict="reject")
        forked = await both.chat("fourth", gate=1, model="quick", on_conflict="fork")
        engine.gate.set()
        await asyncio.gather(first, second)
        main, fork = await both.said(), await both.said(forked.headers["x-sage-branch"])

    assert (refused.status, refused.code) == (409, "session_busy")
    assert "under way since" in refused.body["error"]["message"]
    assert main == ["first", "You said: first", "second", "You said: second"]
    assert fork == ["fourth", "You said: fourth"]


async def test_an_answer_is_given_again_and_a_question_asked_otherwise_in_branches(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("one",)))
    async with pair(shared_redis, engine) as both:
        fork = f"/sessions/{both.session}/fork"
        await both.chat("Hi.")
        await both.chat("Tell me a number.")
        question = (await both.read())[2]["id"]

        again = await both.asked("POST", fork, {"at": question, "before": True})
        engine.script = Script(words=("two",))
        regenerated = await both.chat("Tell me a number.")
        await both.asked("POST", fork, {"at": question, "before": True, "name": "edited"})
        engine.script = Script(words=("red",))
        edited = await both.chat("Tell me a colour.")
        lines = {branch: await both.said(branch) for branch in ("main", again["name"], "edited")}
        head = await both.asked("GET", f"/sessions/{both.session}")

    assert lines == {
        "main": ["Hi.", "one", "Tell me a number.", "one"],
        again["name"]: ["Hi.", "one", "Tell me a number.", "two"],
        "edited": ["Hi.", "one", "Tell me a colour.", "red"],
    }
    assert [one.headers["x-sage-branch"] for one in (regenerated, edited)] == [again["name"], "edited"]
    assert [one["content"] for one in engine.seen[3].body["messages"]] == ["Hi.", "one", "Tell me a colour."]
    assert [one["content"] for one in head["messages"]] == lines["edited"]


async def test_a_client_that_leaves_a_queue_holds_up_nobody(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with pair(shared_redis, engine) as both:
        engine.gate.clear()
        first = asyncio.create_task(both.chat("first"))
        await within(engine.asked)
        leaving = [asyncio.create_task(both.chat(f"left {number}", gate=number % 2)) for number in range(20)]
        await both.in_line(20)
        for one in leaving:
            one.cancel()
        await asyncio.gather(both.gates[0].answers(1), both.gates[1].answers(0))
        last = asyncio.create_task(both.chat("last", gate=1))
        engine.gate.set()
        async with asyncio.timeout(15):
            await asyncio.gather(first, last)
        said = await both.said()

    assert said == ["first", "You said: first", "last", "You said: last"]
    assert len(engine.seen) == 2


async def test_many_that_leave_in_the_middle_lose_no_turn_and_double_none(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(delay=0.005))
    async with pair(shared_redis, engine) as both:

        async def asked(number: int) -> None:
            gate, body = both.gates[number % 2], chat_body(f"{number}", stream=True, session_id=both.session)
            if number % 3:
                answer = await gate.post(CHAT, body)
                assert answer.done
                return
            async with gate.opened(CHAT, body) as response:
                await first_frames(response, 1)
                response.close()

        await asyncio.gather(*map(asked, range(30)))
        await both.chat("end")
        told = await both.read()

    questions = [one["content"] for one in told if one["role"] == "user"]
    assert sorted(questions) == sorted([*map(str, range(30)), "end"])
    assert [one["role"] for one in told] == ["user", "assistant"] * 31
    for question, answer in zip(told[::2], told[1::2], strict=True):
        assert f"You said: {question['content']}".startswith(answer["content"])


async def test_a_store_that_dies_in_mid_answer_and_comes_back_gets_the_turn(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with AsyncExitStack() as stack:
        first_life = AsyncExitStack()
        url = await first_life.enter_async_context(store(shared_redis))
        gate = await stack.enter_async_context(gateway(shared_redis, engine, session_store_url=url))
        session = f"s-{uuid.uuid4().hex[:8]}"
        engine.gate.clear()
        asking = asyncio.create_task(gate.chat("a", session_id=session, stream=True))
        await within(engine.asked)
        await first_life.aclose()
        engine.gate.set()
        await asyncio.sleep(0.3)
        await stack.enter_async_context(store(shared_redis, int(url.rpartition(":")[2])))
        answer = await asking
        async with aiohttp.request("GET", f"{url}/sessions/{session}") as response:
            told = await response.json()

    assert answer.done
    assert [one["content"] for one in told["messages"]] == ["a", "You said: a"]


async def test_redis_that_restarts_between_open_and_commit_loses_nothing() -> None:
    engine = FakeEngine()
    with redis_server() as redis:
        async with pair(redis, engine) as both:
            engine.gate.clear()
            asking = asyncio.create_task(both.chat("a", stream=True))
            await within(engine.asked)
            redis.kill()
            engine.gate.set()
            await asyncio.sleep(0.3)
            await redis.restart()
            answer = await asking
            said = await both.said()

    assert (answer.done, said) == (True, ["a", "You said: a"])


async def test_redis_that_hangs_is_told_of_within_two_seconds_by_who_begins_and_by_who_waits() -> None:
    engine = FakeEngine()
    with redis_server() as redis:
        async with pair(redis, engine) as both:
            engine.gate.clear()
            first = asyncio.create_task(both.chat("first"))
            await within(engine.asked)
            waiting = asyncio.create_task(both.chat("waits", gate=1))
            await asyncio.wait({waiting}, timeout=0.5)
            redis.signal(signal.SIGSTOP)
            began = time.monotonic()
            keyed = [
                both.chat("a", on_conflict=conflict, headers=dict(KEY)) for conflict in ("queue", "reject", "fork")
            ]
            answers = await asyncio.gather(waiting, *keyed)
            seconds = time.monotonic() - began
            redis.signal(signal.SIGCONT)
            engine.gate.set()
            await first
            after = await both.chat("after")

    assert [one.status for one in answers] == [503] * 4
    assert {one.headers["retry-after"] for one in answers} <= {"1", "2"}
    assert (seconds < AWAY_SECONDS, after.status) == (True, 200)


async def test_a_session_deleted_while_it_is_answered_stays_deleted(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with pair(shared_redis, engine) as both:
        engine.gate.clear()
        asking = asyncio.create_task(both.chat("a", stream=True))
        await within(engine.asked)
        await both.asked("DELETE", f"/sessions/{both.session}")
        engine.gate.set()
        answer = await asking
        gone = await both.asked("GET", f"/sessions/{both.session}")

    assert (answer.done, gone["error"]["code"]) == (True, "session_not_found")


async def test_unknown_fields_come_back_from_the_store(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("x",), extra={"refusal": "no", "reasoning_content": "hm"}))
    async with pair(shared_redis, engine) as both:
        await both.chat("a")
        await both.chat("b")

    assert engine.seen[1].body["messages"][1] == {"role": "assistant", "content": "x", "refusal": "no"}


@pytest.mark.parametrize(("model", "window"), [("sage-default", 2048), ("tiny", 600), ("tiny", 100)])
async def test_a_conversation_sent_whole_is_stored_once_however_small_the_window(
    shared_redis: RedisServer, model: str, window: int
) -> None:
    engine = FakeEngine(max_model_len=window, script=Script(words=("A ", "short ", "answer.")))
    async with pair(shared_redis, engine) as both:
        messages, kept = list[dict[str, str]](), list[int]()
        for number in range(4):
            messages.append({"role": "user", "content": f"question {number} " + "word " * 50})
            answer = await both.gates[number % 2].post(
                CHAT, {"model": model, "messages": messages, "session_id": both.session}
            )
            messages.append({"role": "assistant", "content": answer.text})
            kept.append(len(await both.read()))

    assert kept == [2, 4, 6, 8]


async def test_a_conversation_sent_whole_is_stored_once_where_its_session_remembers_little(
    shared_redis: RedisServer,
) -> None:
    engine = FakeEngine(script=Script(words=("ok",)))
    async with pair(shared_redis, engine) as both:
        memory = {"backend": "short_term", "budget_tokens": 20}
        session = (await both.asked("POST", "/sessions", {"memory": memory}))["id"]
        messages = list[dict[str, str]]()
        for number in range(3):
            messages.append({"role": "user", "content": f"question {number} " + "word " * 30})
            await both.gates[0].post(CHAT, {"model": "tiny", "messages": messages, "session_id": session})
            messages.append({"role": "assistant", "content": "ok"})
        said = await both.said_in(session)

    assert said == [one["content"] for one in messages]


async def test_a_tools_result_is_stored_once_and_told_with_its_call_in_a_small_window(
    shared_redis: RedisServer,
) -> None:
    engine = FakeEngine(max_model_len=100, script=Script(tool_calls=(("f", "{}"),)))
    async with pair(shared_redis, engine) as both:
        question = {"role": "user", "content": "call f " + "word " * 50}
        asked = {"model": "tiny", "session_id": both.session}
        called = await both.gates[0].post(CHAT, {**asked, "messages": [question]})
        (call,) = called.body["choices"][0]["message"]["tool_calls"]
        calling = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "42"}
        engine.script = Script(words=("fine",))
        await both.gates[1].post(CHAT, {**asked, "messages": [question, calling, result]})
        stored = await both.read()

    assert [one["role"] for one in stored] == ["user", "assistant", "tool", "assistant"]
    assert engine.seen[1].body["messages"] == [question, calling, result]


async def test_a_long_system_prompt_sent_with_each_turn_is_stored_once_and_leaves_room_for_the_history(
    shared_redis: RedisServer,
) -> None:
    engine = FakeEngine(max_model_len=1000, script=Script(words=("ok",)))
    system = {"role": "system", "content": "rule " * 250}
    async with pair(shared_redis, engine) as both:
        for number in range(3):
            question = {"role": "user", "content": f"q{number}"}
            await both.gates[0].post(
                CHAT, {"model": "tiny", "messages": [system, question], "session_id": both.session}
            )
        stored = await both.read()

    assert [one["role"] for one in stored] == ["system", *["user", "assistant"] * 3]
    assert [one["content"] for one in engine.seen[2].body["messages"][1:]] == ["q0", "ok", "q1", "ok", "q2"]
