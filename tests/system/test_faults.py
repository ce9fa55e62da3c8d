"""Each part of the stack is killed in turn: the supervisor brings it back, and nothing but what was in flight fails."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator

import aiohttp
import openai
import psutil
import pytest

from tests.fakes.engine import FakeEngine, fake_engine
from tests.fakes.stack import Stack
from tests.system.conftest import Registered, gone, served, until

BUSY_SECONDS = 4.0
"""What a machine that does other things as well may add to a time."""

SERVICES = ("chat-gateway", "session-store", "rag-indexer", "control-plane")


@pytest.fixture
async def engine(registered: Registered) -> AsyncIterator[FakeEngine]:
    async with fake_engine(f"tiny-{uuid.uuid4().hex[:8]}") as running, registered(running):
        yield running


async def chat(client: openai.AsyncOpenAI, model: str, text: str, **extra: object) -> str:
    answer = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], extra_body=extra
    )
    return answer.choices[0].message.content or ""


async def killed(stack: Stack, name: str) -> None:
    """`kill -9` the process called `name`, and return when another one is there in its place."""
    before = await asyncio.to_thread(stack.pid, name)
    os.kill(before, signal.SIGKILL)

    async def replaced() -> bool:
        return await asyncio.to_thread(stack.pid, name) not in {before, 0}

    await until(replaced)


async def healthy(http: aiohttp.ClientSession) -> bool:
    """All services, and some engine READY."""
    async with http.get("/health") as response:
        return response.status == 200 and (await response.json())["status"] == "healthy"


@pytest.mark.parametrize("name", ["valkey", "nginx", *SERVICES])
async def test_what_is_killed_comes_back_and_the_session_goes_on(
    stack: Stack, http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, name: str
) -> None:
    session = f"kept-{uuid.uuid4().hex[:8]}"
    await chat(client, engine.model, "My name is Ada.", session_id=session)

    await killed(stack, name)
    await until(lambda: healthy(http))
    await chat(client, engine.model, "What is my name?", session_id=session)

    assert [one["content"] for one in engine.seen[-1].body["messages"]] == [
        "My name is Ada.",
        "You said: My name is Ada.",
        "What is my name?",
    ]


@pytest.mark.parametrize("name", SERVICES)
async def test_a_killed_worker_comes_back_without_its_parent_dying(
    stack: Stack, http: aiohttp.ClientSession, engine: FakeEngine, name: str
) -> None:
    parent = stack.pid(name)
    (worker,) = [child for child in psutil.Process(parent).children() if "tracker" not in str(child.cmdline())]
    worker.kill()
    await until(lambda: healthy(http))

    assert stack.pid(name) == parent
    assert not worker.is_running()


@pytest.mark.parametrize("name", ["valkey", "session-store", "rag-indexer", "control-plane"])
async def test_a_chat_without_a_session_does_not_notice(
    stack: Stack, http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, name: str
) -> None:
    failures: list[str] = []
    ended = asyncio.Event()

    async def talk() -> int:
        count = 0
        while not ended.is_set():
            try:
                await chat(client, engine.model, "Hi")
            except openai.APIError as error:
                failures.append(str(error))
            count += 1
        return count

    talking = asyncio.create_task(talk())
    await killed(stack, name)
    await until(lambda: healthy(http))
    ended.set()

    assert await talking > 0
    assert failures == []


async def test_a_chat_with_a_session_is_told_that_the_store_is_away(
    stack: Stack, http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine
) -> None:
    valkey = psutil.Process(stack.pid("valkey"))
    valkey.suspend()
    try:
        asked = len(engine.seen)
        async with asyncio.timeout(10):
            with pytest.raises(openai.InternalServerError) as caught:
                await chat(client, engine.model, "Hi", session_id="away")
        async with asyncio.timeout(8), http.get("/sessions") as response:
            listed = response.status, response.headers.get("Retry-After"), (await response.json())["error"]["code"]
    finally:
        valkey.resume()
    await until(lambda: healthy(http))

    assert (caught.value.status_code, caught.value.code) == (503, "store_unavailable")
    assert caught.value.response.headers["Retry-After"]
    assert len(engine.seen) == asked, "an engine was asked for an answer that nobody could get"
    assert listed == (503, "2", "store_unavailable")


async def test_the_assistant_answers_without_documents_while_retrieval_is_away(
    stack: Stack, http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine
) -> None:
    indexer = psutil.Process(stack.pid("rag-indexer"))
    hung = [indexer, *indexer.children(recursive=True)]
    for process in hung:
        process.suspend()
    try:
        answer = await client.chat.completions.create(
            model="sage-default", messages=[{"role": "user", "content": "Why is a turn stored before [DONE]?"}]
        )
    finally:
        for process in reversed(hung):
            process.resume()
    await until(lambda: healthy(http))

    context = answer.choices[0].message.to_dict()["context"]
    assert isinstance(context, dict)
    assert (context["evidence"], context["citations"]) == (False, [])
    assert "rag-indexer" in str(context["reason"])


async def test_streams_finish_when_a_service_is_told_to_stop(
    stack: Stack, http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine
) -> None:
    parent = await asyncio.to_thread(stack.pid, "chat-gateway")
    engine.gate.clear()
    engine.let(1)
    engine.then(words=tuple(f" {number}" for number in range(12)), delay=0.1)
    stream = await client.chat.completions.create(
        model=engine.model, messages=[{"role": "user", "content": "Count"}], stream=True
    )
    frames = aiter(stream)
    heard = (await anext(frames)).choices[0].delta.content or ""
    os.kill(parent, signal.SIGTERM)
    engine.gate.set()
    async for chunk in frames:
        heard += chunk.choices[0].delta.content or ""
    await until(lambda: healthy(http))

    assert heard == "".join(f" {number}" for number in range(12))


async def test_a_dead_engine_is_an_error_within_seven_seconds_and_back_within_three_of_its_return(
    http: aiohttp.ClientSession, registered: Registered
) -> None:
    model = f"dies-{uuid.uuid4().hex[:8]}"
    async with fake_engine(model) as engine, registered(engine):
        port = engine.port
        async with http.get("/v1/management/engines", params={"model": model}) as listed:
            engine_id = (await listed.json())["engines"][0]["engine_id"]

        async def is_in(state: str) -> bool:
            async with http.get(f"/v1/management/engines/{engine_id}") as found:
                return bool((await found.json())["state"] == state)

        await engine.stop()
        began = time.monotonic()
        await until(lambda: is_in("ERROR"))
        until_error = time.monotonic() - began
        await until(lambda: gone(http, model))
        await engine.start(port)
        began = time.monotonic()
        await until(lambda: is_in("READY"))
        await until(lambda: served(http, model))
        until_back = time.monotonic() - began

    print(f"dead engine in ERROR after {until_error:.1f} s, served again {until_back:.1f} s after its return")
    assert until_error < 7 + BUSY_SECONDS
    assert until_back < 3 + BUSY_SECONDS
