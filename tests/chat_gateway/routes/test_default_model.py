"""The built-in assistant, and `rag` on any model."""

from typing import Any

import openai
import pytest

from sage_contracts.chat import Retrieval
from sage_contracts.errors import InvalidRequest, StoreUnavailable
from sage_contracts.index import SearchRequest
from tests.chat_gateway.stack import CHAT, Answered, chat_body, gateway, within
from tests.fakes.cluster import free_port
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import RedisServer

BLUE = Script(words=("It is", " blue [", "1", "]."))
CITED = "It is blue [1](guide1.md#use-1)."


def context_of(answer: Answered) -> dict[str, Any]:
    """Where a stream has it: in its first delta."""
    if answer.raw.startswith(b"data:"):
        return dict(answer.chunks[0]["choices"][0]["delta"]["context"])
    return dict(answer.body["choices"][0]["message"]["context"])


@pytest.mark.parametrize("streams", [True, False])
async def test_the_built_in_assistant_cites(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine(script=BLUE)
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.", "Grass is green.")
        answer = await gate.chat("What colour?", model="sage-default", stream=streams)

    assert answer.text == CITED
    assert [one["filepath"] for one in context_of(answer)["citations"]] == ["guide1.md", "guide2.md"]
    assert gate.services.searches == [SearchRequest(query="What colour?", top_k=4)]
    assert engine.seen[0].body["model"] == "tiny"


async def test_no_model_is_the_built_in_one(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=BLUE)
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat(model=None)

    assert (answer.text, answer.body["model"]) == (CITED, "sage-default")


async def test_the_sdk_reads_text_and_annotations(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE)) as gate:
        gate.services.finds("The sky is blue.")
        async with openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key="none") as client:
            completion = await client.chat.completions.create(
                model="sage-default", messages=[{"role": "user", "content": "What colour?"}]
            )

    message = completion.choices[0].message
    (annotation,) = message.annotations or []
    cited = annotation.url_citation
    assert (message.content or "")[cited.start_index : cited.end_index] == "[1](guide1.md#use-1)"
    assert completion.model == "sage-default"


async def test_the_sdk_follows_a_stream(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE)) as gate:
        gate.services.finds("The sky is blue.", "Grass is green.")
        client = openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key="none")
        async with client, client.chat.completions.stream(**chat_body("What colour?", model="sage-default")) as stream:
            completion = await stream.get_final_completion()

    message = completion.choices[0].message
    (annotation,) = message.annotations or []
    assert (message.content, annotation.url_citation.url) == (CITED, "guide1.md#use-1")


async def test_passages_stand_at_the_tail_of_the_prompt(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What colour?"}]
        await gate.post(CHAT, {"model": "sage-default", "messages": messages})

    system, last = engine.seen[0].body["messages"]
    assert system == messages[0]
    assert last["content"].endswith("[1]\n> guide1.md - Use\n> The sky is blue.\n\nQuestion: What colour?")


async def test_a_session_keeps_what_was_said_and_links_are_not_told_again(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=BLUE)
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        for question in ("What colour?", "Sure?"):
            await gate.chat(question, model="sage-default", session_id="s1", stream=True)

    assert [one.content for one in gate.services.sessions["s1"]] == ["What colour?", CITED, "Sure?", CITED]
    assert [one["content"] for one in engine.seen[1].body["messages"]][:2] == ["What colour?", "It is blue."]
    context = gate.services.sessions["s1"][1].metadata["context"]
    assert (context["evidence"], [one["content"] for one in context["citations"]]) == (True, [""])


async def test_an_answer_without_citations_names_its_sources(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(words=("Blue", ".")))) as gate:
        gate.services.finds("The sky is blue.", "Grass is green.")
        answer = await gate.chat(model="sage-default", stream=True)

    assert answer.text == "Blue.\n\nSources: [1](guide1.md#use-1) [2](guide2.md#use-2)"
    annotated = [choice["delta"] for chunk in answer.chunks for choice in chunk["choices"]][-2]
    assert len(annotated["annotations"]) == 2


async def test_the_source_address_is_the_operators(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE), source_url="https://x/{path}") as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat(model="sage-default")

    assert answer.text == "It is blue [1](https://x/guide1.md)."


@pytest.mark.parametrize("streams", [True, False])
async def test_without_an_index_it_answers_and_says_so(shared_redis: RedisServer, streams: bool) -> None:
    engine = FakeEngine(script=BLUE)
    async with gateway(shared_redis, engine) as gate:
        answer = await gate.chat("What colour?", model="sage-default", stream=streams)

    assert answer.text == "It is blue [1]."
    assert context_of(answer) == {"citations": [], "evidence": False, "reason": "there is no index"}
    assert engine.seen[0].body["messages"] == [{"role": "user", "content": "What colour?"}]


async def test_without_rag_indexer_it_answers_and_says_so(shared_redis: RedisServer) -> None:
    async with gateway(
        shared_redis, FakeEngine(script=BLUE), rag_indexer_url=f"http://127.0.0.1:{free_port()}"
    ) as gate:
        answer = await gate.chat(model="sage-default")

    assert (answer.status, "rag-indexer cannot be reached" in context_of(answer)["reason"]) == (200, True)


async def test_a_slow_rag_indexer_is_not_waited_for(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE), rag_seconds=0.2) as gate:
        gate.services.search_gate.clear()
        answer = await gate.chat(model="sage-default")
        gate.services.search_gate.set()

    assert "did not answer in time" in context_of(answer)["reason"]


async def test_a_failing_rag_indexer_is_no_obstacle(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE)) as gate:
        gate.services.failing["indexer"] = StoreUnavailable("Qdrant is away")
        answer = await gate.chat(model="sage-default")

    assert "Qdrant is away" in context_of(answer)["reason"]


async def test_a_wrong_filter_is_the_clients_fault(shared_redis: RedisServer) -> None:
    engine = FakeEngine()
    async with gateway(shared_redis, engine) as gate:
        gate.services.failing["indexer"] = InvalidRequest("no such filter", param="filters")
        answer = await gate.chat(rag={"filters": {"x": 1}})

    assert (answer.status, answer.body["error"]["param"], engine.seen) == (400, "filters", [])


@pytest.mark.parametrize(
    ("rag", "asked"),
    [
        (True, Retrieval(top_k=4)),
        (
            {"collection": "c", "top_k": 2, "filters": {"path": "x"}},
            Retrieval(collection="c", top_k=2, filters={"path": "x"}),
        ),
    ],
)
async def test_any_model_can_be_grounded(shared_redis: RedisServer, rag: object, asked: Retrieval) -> None:
    engine = FakeEngine(script=BLUE)
    async with gateway(shared_redis, engine) as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat(rag=rag)

    (search,) = gate.services.searches
    assert (search.collection, search.top_k, search.filters) == (asked.collection, asked.top_k, asked.filters)
    assert (answer.text, answer.body["model"], "rag" in engine.seen[0].body) == (CITED, "tiny", False)


async def test_the_assistant_can_be_told_not_to_look_things_up(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE)) as gate:
        answer = await gate.chat(model="sage-default", rag=False)

    assert gate.services.searches == []
    assert "context" not in answer.body["choices"][0]["message"]


async def test_an_answer_without_retrieval_still_has_the_name_that_was_asked_for(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=BLUE)) as gate:
        answers = [await gate.chat(model="sage-default", rag=False, stream=streams) for streams in (True, False)]

    assert (answers[0].chunks[0]["model"], answers[1].body["model"]) == ("sage-default", "sage-default")


async def test_an_interrupted_grounded_answer_is_stored_as_it_was_seen(shared_redis: RedisServer) -> None:
    script = Script(words=("It is", " blue [", "1", "].", " And"), cut_after=4)
    async with gateway(shared_redis, FakeEngine(script=script)) as gate:
        gate.services.finds("The sky is blue.")
        answer = await gate.chat(model="sage-default", session_id="s1", stream=True)
        await within(gate.services.turns.committed)

    assert answer.text == CITED
    kept = gate.services.sessions["s1"][1]
    assert kept.content == CITED
    (place,) = [one["url_citation"] for one in kept.metadata["annotations"]]
    assert CITED[place["start_index"] : place["end_index"]] == "[1](guide1.md#use-1)"


@pytest.mark.parametrize(("window", "passages"), [(8192, 1200), (2048, 682)])
async def test_with_a_window_there_is_less_room_for_history(
    shared_redis: RedisServer, window: int, passages: int
) -> None:
    async with gateway(shared_redis, FakeEngine(max_model_len=window)) as gate:
        await gate.chat("x" * 300, model="sage-default", session_id="s1", max_tokens=500)

    assert [one.budget_tokens for one in gate.services.turns.opened] == [window - 108 - 500 - passages]


async def test_an_answer_that_is_no_object_is_a_502(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(status=201, refusal=[1]))) as gate:
        answer = await gate.chat(model="sage-default")

    assert (answer.status, answer.code) == (502, "upstream_error")
