"""What a user of the OpenAI SDK meets, through the real front door."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

import control_plane.settings
from tests.fakes.engine import FakeEngine, Script, fake_engine
from tests.system.conftest import Registered, until

GRACE_SECONDS = control_plane.settings.Settings().drain_grace_seconds


def new_name(stem: str) -> str:
    return f"{stem}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def engine(registered: Registered) -> AsyncIterator[FakeEngine]:
    async with fake_engine(new_name("tiny")) as running, registered(running):
        yield running


async def test_a_streamed_chat_arrives_frame_by_frame(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    engine.then(words=("Hello", " there"), silent_after=1)
    stream = await client.chat.completions.create(
        model=engine.model, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    async with asyncio.timeout(30):
        first = await anext(aiter(stream))

    # The engine will never say its second word: the first came while the answer was being made.
    assert first.choices[0].delta.content == "Hello"
    await stream.close()


async def test_a_client_that_leaves_stops_the_engine(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    engine.then(words=("Hello", " there"), silent_after=1)
    stream = await client.chat.completions.create(
        model=engine.model, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    await anext(aiter(stream))
    await stream.close()

    async with asyncio.timeout(30):
        await engine.left.wait()


async def test_a_whole_stream_is_whole(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    async with client.chat.completions.stream(
        model=engine.model,
        messages=[{"role": "user", "content": "ünïcode ✓"}],
        stream_options={"include_usage": True},
    ) as stream:
        done = await stream.get_final_completion()

    assert done.choices[0].message.content == "You said: ünïcode ✓"
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert done.usage.total_tokens > 0


async def test_a_model_is_read_by_its_name_whatever_slashes_it_has(
    client: openai.AsyncOpenAI, registered: Registered
) -> None:
    async with fake_engine(f"org/{new_name('tiny')}") as engine, registered(engine):
        found = await client.models.retrieve(engine.model)
        listed = [model async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError) as refused:
            await client.models.retrieve(f"{engine.model}-gone")

    assert found in listed
    assert refused.value.code == "model_not_found"


async def test_the_second_turn_of_a_session_knows_the_first(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    session = new_name("ada")
    stream = await client.chat.completions.create(
        model=engine.model,
        messages=[{"role": "user", "content": "My name is Ada."}],
        stream=True,
        extra_body={"session_id": session},
    )
    async for _ in stream:
        pass
    answer = await client.chat.completions.create(
        model=engine.model,
        messages=[{"role": "user", "content": "What is my name?"}],
        extra_body={"session_id": session},
    )

    assert answer.choices[0].message.content == "You said: What is my name?"
    assert [(one["role"], one["content"]) for one in engine.seen[-1].body["messages"]] == [
        ("user", "My name is Ada."),
        ("assistant", "You said: My name is Ada."),
        ("user", "What is my name?"),
    ]
    assert "session_id" not in engine.seen[-1].body


async def test_unknown_fields_reach_the_engine_and_come_back(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    engine.then(words=("x",), extra={"reasoning_content": "hm"})
    answer = await client.chat.completions.create(
        model=engine.model,
        messages=[{"role": "user", "content": "Hi"}],
        extra_body={"top_k": 7, "ignore_eos": True},
    )

    assert {name: engine.seen[-1].body[name] for name in ("top_k", "ignore_eos")} == {"top_k": 7, "ignore_eos": True}
    assert answer.choices[0].message.to_dict()["reasoning_content"] == "hm"


async def test_tool_calls_pass_through_the_helper_that_needs_their_index(
    client: openai.AsyncOpenAI, engine: FakeEngine
) -> None:
    engine.then(tool_calls=(("weather", '{"city": "Bern"}'),))
    async with client.chat.completions.stream(
        model=engine.model, messages=[{"role": "user", "content": "Weather?"}]
    ) as stream:
        done = await stream.get_final_completion()

    calls = done.choices[0].message.tool_calls
    assert calls is not None
    assert [(call.function.name, call.function.arguments) for call in calls] == [("weather", '{"city": "Bern"}')]


async def test_embeddings(client: openai.AsyncOpenAI, registered: Registered) -> None:
    async with fake_engine(new_name("embed")) as engine, registered(engine, kind="embedding"):
        answer = await client.embeddings.create(model=engine.model, input=["one", "two"], encoding_format="float")

    assert [len(row.embedding) for row in answer.data] == [8, 8]


async def test_an_engine_for_chats_is_asked_for_embeddings_when_it_alone_has_the_model(
    client: openai.AsyncOpenAI, engine: FakeEngine
) -> None:
    answer = await client.embeddings.create(model=engine.model, input="one", encoding_format="float")

    assert len(answer.data[0].embedding) == 8


async def test_a_completion_of_the_old_kind(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    answer = await client.completions.create(model=engine.model, prompt="Once")

    assert answer.choices[0].text == "You said: Once"


async def test_models_are_those_that_an_engine_serves(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    models = {model.id async for model in client.models.list()}

    assert {engine.model, "sage-default"} <= models


async def test_a_wrong_model_is_told_which_ones_exist(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "Hi"}])

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert engine.model in caught.value.message


async def test_an_engine_that_dies_in_mid_stream_raises_in_the_sdk(
    client: openai.AsyncOpenAI, engine: FakeEngine
) -> None:
    engine.then(words=("one", " two", " three"), cut_after=2)
    stream = await client.chat.completions.create(
        model=engine.model, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    heard = ""
    with pytest.raises(openai.APIError) as caught:
        async for chunk in stream:
            heard += chunk.choices[0].delta.content or ""

    assert heard == "one two"
    assert caught.value.code == "engine_broke_off"


async def test_an_engine_that_dies_before_its_first_byte_is_replaced_by_another(
    client: openai.AsyncOpenAI, registered: Registered
) -> None:
    model = new_name("twins")
    async with fake_engine(model) as dying, fake_engine(model) as other, registered(dying, other):
        dying.script = Script(cut_at_once=True)
        async with asyncio.timeout(30):
            while not dying.seen:  # until a chat met the dying one
                answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])

    assert answer.choices[0].message.content == "You said: Hi"


async def test_an_engines_refusal_reaches_the_client_as_it_is(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    body = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
    engine.then(status=400, refusal=body)
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model=engine.model, messages=[{"role": "user", "content": "Hi"}])

    assert (caught.value.code, caught.value.type) == ("context_length_exceeded", "invalid_request_error")


async def test_the_assistant_cites_the_right_document(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    engine.then(words=("A turn is stored first", " [1]", "."))
    answer = await client.chat.completions.create(
        model="sage-default",
        messages=[{"role": "user", "content": "Why is a turn stored before the client sees [DONE]?"}],
    )

    message = answer.choices[0].message
    context = message.to_dict()["context"]
    assert isinstance(context, dict)
    assert context["evidence"] is True
    assert context["citations"][0]["filepath"] == "decisions/0004-a-turn-is-stored-before-done.md"
    assert message.annotations is not None
    assert "0004-a-turn-is-stored-before-done.md" in message.annotations[0].url_citation.url
    assert "[1](" in (message.content or "")


async def test_the_assistant_says_when_it_found_nothing(client: openai.AsyncOpenAI, engine: FakeEngine) -> None:
    answer = await client.chat.completions.create(
        model="sage-default", messages=[{"role": "user", "content": "zxqv wugblat frimbulous?"}]
    )

    context = answer.choices[0].message.to_dict()["context"]
    assert isinstance(context, dict)
    assert (context["evidence"], context["citations"]) == (False, [])
    assert context["reason"]


async def test_a_drained_engine_finishes_its_stream_and_is_then_stopped(
    client: openai.AsyncOpenAI, http: aiohttp.ClientSession, registered: Registered
) -> None:
    model = new_name("drained")
    async with fake_engine(model) as engine, registered(engine):
        engine.gate.clear()
        engine.let(1)
        engine.then(words=tuple(f" {number}" for number in range(60)))
        stream = await client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Count"}], stream=True
        )
        frames = aiter(stream)
        heard = (await anext(frames)).choices[0].delta.content or ""
        async with http.get("/v1/management/engines", params={"model": model}) as listed:
            engine_id = (await listed.json())["engines"][0]["engine_id"]

        async def state() -> str:
            async with http.get(f"/v1/management/engines/{engine_id}") as found:
                return str((await found.json())["state"])

        async def stopped() -> bool:
            return await state() == "STOPPED"

        await http.post(f"/v1/management/engines/{engine_id}/drain")
        await asyncio.sleep(GRACE_SECONDS + 2)
        kept = await state()
        engine.gate.set()
        async for chunk in frames:
            heard += chunk.choices[0].delta.content or ""
        await until(stopped)

    # Longer than the grace that every drain has: it was the stream that kept the engine from being stopped.
    assert kept == "DRAINING"
    assert heard == "".join(f" {number}" for number in range(60))
