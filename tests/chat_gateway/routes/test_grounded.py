"""What a grounded answer tells of how it came to be, what a hostile document cannot do, and wishes for workflows."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from chat_gateway.domain.workflows import COMING, COMING_IN_CHINESE
from sage_contracts.index import How
from tests.chat_gateway.routes.test_default_model import BLUE, CITED, context_of
from tests.chat_gateway.stack import CHAT, gateway, within
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.injected import INJECTED
from tests.fakes.redis_server import RedisServer

ASKED = {"X_Sage_Explain": "1"}
WISH = "Create a workflow that mails me a summary"


@pytest.mark.parametrize("streams", [True, False])
async def test_who_asks_is_told_everything_that_was_found(shared_redis: RedisServer, streams: bool) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE), rag_budget_tokens=40) as gate:
        gate.services.finds("The sky is blue.", "Grass is green. " * 50)
        told = await gate.chat(model="sage-default", stream=streams, headers=ASKED)
        untold = await gate.chat(model="sage-default", stream=streams)

    assert [(one["number"], one["id"], one["score"]) for one in context_of(told)["passages"]] == [
        (1, "p1", 1.0),
        (None, "p2", 0.5),
    ]
    assert "passages" not in context_of(untold)
    assert "x-sage-receipt" in told.headers


@pytest.mark.parametrize("streams", [True, False])
async def test_a_search_that_was_less_than_wanted_says_so(shared_redis: RedisServer, streams: bool) -> None:
    how = How(mode="bm25", encoder="e5", degraded="the encoder is away")
    async with gateway(shared_redis, FakeEngine(script=BLUE)) as gate:
        gate.services.finds("The sky is blue.")
        gate.services.found = structs.replace(gate.services.found, how=how)
        answer = await gate.chat(model="sage-default", stream=streams, session_id="s1")

    assert context_of(answer)["how"] == {"mode": "bm25", "encoder": "e5", "degraded": "the encoder is away"}
    assert gate.services.sessions["s1"][1].metadata["context"]["how"]["degraded"] == "the encoder is away"


FORM = {"type": "json_schema", "json_schema": {"name": "pages", "schema": {"type": "object"}}}


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    "fields", [{"response_format": FORM}, {"response_format": {"type": "json_object"}}, {"guided_json": {}}]
)
async def test_an_answer_that_must_have_a_form_is_left_as_it_is(
    shared_redis: RedisServer, streams: bool, fields: dict[str, Any]
) -> None:
    engine = FakeEngine(script=Script(words=('{"pages": [', "1", '], "more": [7]}')))
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat(model="sage-default", stream=streams, **fields)
        plain = await gate.chat(model="sage-default", stream=streams, response_format={"type": "text"})

    assert answer.text == '{"pages": [1], "more": [7]}'
    assert [one["filepath"] for one in context_of(answer)["citations"]] == ["guide1.md"]
    assert "](guide1.md#use-1)" in plain.text


async def test_sources_come_before_the_text_and_places_after_it(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE)) as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat(model="sage-default", stream=True)
    deltas: list[dict[str, Any]] = [choice["delta"] for chunk in answer.chunks for choice in chunk["choices"]]
    texts = [number for number, delta in enumerate(deltas) if delta.get("content")]

    (sources,) = [number for number, delta in enumerate(deltas) if "context" in delta]
    (places,) = [number for number, delta in enumerate(deltas) if "annotations" in delta]
    assert sources < texts[0] <= texts[-1] <= places == len(deltas) - 2
    assert answer.done


async def test_the_result_of_a_call_is_answered_from_what_its_question_found(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(tool_calls=(("f", "{}"),)))
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        called = await gate.chat("What colour?", model="sage-default", session_id="s1")
        (call,) = called.body["choices"][0]["message"]["tool_calls"]
        engine.script = BLUE
        result = {"role": "tool", "tool_call_id": call["id"], "content": "42"}
        answer = await gate.post(CHAT, {"messages": [result], "session_id": "s1"})

    assert [search.query for search in gate.services.searches] == ["What colour?", "What colour?"]
    assert "The sky is blue." in engine.seen[1].body["messages"][0]["content"]
    assert (answer.text, context_of(answer)["evidence"]) == (CITED, True)


async def test_a_busy_session_refuses_without_waiting_for_the_search(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine, rag_seconds=300) as gate:
        engine.gate.clear()
        first = asyncio.create_task(gate.chat(session_id="s1"))
        await within(engine.asked)
        gate.services.search_gate.clear()
        async with asyncio.timeout(30):
            refused = await gate.chat(session_id="s1", rag=True, on_conflict="reject")
        engine.gate.set()
        gate.services.search_gate.set()
        await first

    assert (refused.status, refused.code) == (409, "session_busy")


async def test_hostile_documents_stay_documents(shared_redis: RedisServer) -> None:
    """The engine repeats its whole prompt, documents and all: the worst an answer can be."""
    engine = FakeEngine()
    async with gateway(shared_redis, engine, workflow_hint=True) as gate:
        answers = {}
        for name, text in INJECTED.items():
            gate.services.finds(text, "The sky is blue.")
            answers[name] = [
                await gate.chat("What colour?", model="sage-default", stream=streams, session_id=f"s-{name}")
                for streams in (True, False)
            ]

    for streamed, whole in answers.values():
        assert (streamed.status, streamed.frames.count(b"data: [DONE]\n\n"), streamed.done) == (200, 1, True)
        assert [chunk for chunk in streamed.chunks if "error" in chunk] == []
        assert streamed.text.startswith("You said: Answer the question at the end.")
        message = whole.body["choices"][0]["message"]
        assert message.keys() == {"role", "content", "annotations", "context"}
        assert {one["url_citation"]["url"] for one in message["annotations"]} <= {
            "guide1.md#use-1",
            "guide2.md#use-2",
        }
        assert not any(name.lower() in {"set-cookie", "x-accel-redirect", "x-sage-memory"} for name in whole.headers)
    assert {search.collection for search in gate.services.searches} == {None}
    assert {seen.path for seen in engine.seen} == {"/v1/chat/completions"}
    assert all(seen.body.keys() <= {"model", "messages", "stream"} for seen in engine.seen)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    ("wish", "told"), [(WISH, COMING), ("\u521b\u5efa\u4e00\u4e2a\u5de5\u4f5c\u6d41", COMING_IN_CHINESE)]
)
async def test_a_wish_for_a_workflow_is_told_that_those_are_coming(
    shared_redis: RedisServer, streams: bool, wish: str, told: str
) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine, workflow_hint=True) as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat(wish, model=None, stream=streams, session_id="s1")

    assert (answer.text, engine.seen, gate.services.searches) == (told, [], [])
    assert [one.content for one in gate.services.sessions["s1"]] == [wish, told]
    assert (answer.chunks[0] if streams else answer.body)["model"] == "sage-default"


@pytest.mark.parametrize("fields", [{}, {"session_id": "s1"}])
async def test_a_wish_for_a_workflow_needs_no_engine_and_used_no_token(
    shared_redis: RedisServer, fields: dict[str, Any]
) -> None:
    wants: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    async with gateway(shared_redis, workflow_hint=True) as gate:
        whole = await gate.chat(WISH, model="sage-default", **fields)
        streamed = await gate.chat(WISH, model=None, **wants, **fields)
        unasked = await gate.chat(WISH, model=None, stream=True, **fields)

    none_used = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert [one.text for one in (whole, streamed, unasked)] == [COMING] * 3
    assert (whole.body["usage"], streamed.chunks[-1]["usage"]) == (none_used, none_used)
    assert streamed.chunks[-1]["choices"] == []
    assert [chunk for chunk in unasked.chunks if "usage" in chunk] == []


@pytest.mark.parametrize(
    ("flag", "model", "text"),
    [(False, "sage-default", WISH), (True, "tiny", WISH), (True, "sage-default", "How do I create a workflow?")],
)
async def test_other_wishes_are_the_engines(shared_redis: RedisServer, flag: bool, model: str, text: str) -> None:
    engine = FakeEngine(script=BLUE)
    async with gateway(shared_redis, engine, workflow_hint=flag) as gate:
        answer = await gate.chat(text, model=model)

    assert (answer.text, len(engine.seen)) == ("It is blue [1].", 1)
