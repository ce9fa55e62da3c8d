"""Turns of sessions as a user of the OpenAI SDK meets them, through the real front door."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import openai
import psutil
import pytest

from tests.chat_gateway.replicas import legal, pair
from tests.fakes.engine import FakeEngine, fake_engine
from tests.fakes.redis_server import RedisServer
from tests.fakes.stack import Stack
from tests.system.conftest import Registered, until


def new_name(stem: str) -> str:
    return f"{stem}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def engine(registered: Registered) -> AsyncIterator[FakeEngine]:
    async with fake_engine(new_name("tiny")) as running, registered(running):
        yield running


class Talk:
    """A conversation with one engine's model."""

    def __init__(self, client: openai.AsyncOpenAI, http: aiohttp.ClientSession, model: str) -> None:
        self.client = client
        self.http = http
        self.model = model
        self.session = new_name("talk")

    async def say(self, text: str, *, key: str | None = None, explain: bool = False, **body: Any) -> Any:
        """The raw answer: it has `headers`, and is parsed by `parse`."""
        headers = ({} if key is None else {"Idempotency-Key": key}) | ({"X-Sage-Explain": "1"} if explain else {})
        return await self.client.chat.completions.with_raw_response.create(
            model=self.model,
            messages=[{"role": "user", "content": text}],
            extra_body={"session_id": self.session, **body},
            extra_headers=headers,
        )

    async def heard(self, text: str, *, key: str | None = None) -> tuple[str, set[str]]:
        """What a stream says, and the ids of its frames."""
        stream = await self.client.chat.completions.create(
            model=self.model,
            messages=[{"role": "user", "content": text}],
            stream=True,
            extra_body={"session_id": self.session},
            extra_headers={} if key is None else {"Idempotency-Key": key},
        )
        frames = [frame async for frame in stream]
        said = "".join(frame.choices[0].delta.content or "" for frame in frames)
        return said, {frame.id for frame in frames}

    async def asked(self, method: str, path: str, body: object = None) -> Any:
        async with self.http.request(method, f"/sessions/{self.session}{path}", json=body) as response:
            return await response.json()

    async def told(self) -> list[tuple[str, str]]:
        return [(one["role"], one["content"]) for one in (await self.asked("GET", ""))["messages"]]


@pytest.fixture
def talk(client: openai.AsyncOpenAI, http: aiohttp.ClientSession, engine: FakeEngine) -> Talk:
    return Talk(client, http, engine.model)


def worker_killed(stack: Stack, name: str) -> None:
    """`kill -9` a service and its worker: the supervisor starts it again."""
    parent = psutil.Process(stack.pid(name))
    for one in [parent, *parent.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # a worker ends with its parent
            one.kill()


async def test_a_repeat_with_the_same_key_is_the_same_turn(talk: Talk, engine: FakeEngine) -> None:
    first = await talk.say("Hello", key="k1")
    again = await talk.say("Hello", key="k1")
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await talk.say("Something else", key="k1")

    assert first.parse().model_dump() == {**again.parse().model_dump(), "system_fingerprint": None}
    assert again.headers["idempotency-replayed"] == "true"
    assert caught.value.code == "idempotency_key_reused"
    assert (len(engine.seen), await talk.told()) == (1, [("user", "Hello"), ("assistant", "You said: Hello")])


async def test_a_stream_repeated_with_its_key_is_the_same_turn(talk: Talk, engine: FakeEngine) -> None:
    first, again = await talk.heard("Hello", key="k1"), await talk.heard("Hello", key="k1")

    assert first == again
    assert len(engine.seen) == 1


async def test_what_the_sdk_repeats_by_itself_is_stored_once(talk: Talk, engine: FakeEngine) -> None:
    engine.gate.clear()
    impatient = talk.client.with_options(max_retries=3, timeout=3.0)
    asking = asyncio.create_task(
        impatient.chat.completions.create(
            model=talk.model,
            messages=[{"role": "user", "content": "Hello"}],
            extra_body={"session_id": talk.session},
            extra_headers={"Idempotency-Key": "k1"},
        )
    )
    await asyncio.wait_for(engine.left.wait(), 30)
    engine.gate.set()
    answer = await asking

    assert answer.choices[0].message.content == "You said: Hello"
    assert len(engine.seen) >= 2
    assert await talk.told() == [("user", "Hello"), ("assistant", "You said: Hello")]


async def test_of_two_turns_at_once_the_second_waits_or_is_refused_or_forks(talk: Talk, engine: FakeEngine) -> None:
    engine.gate.clear()
    first = asyncio.create_task(talk.say("first"))
    await asyncio.wait_for(engine.asked.wait(), 30)
    with pytest.raises(openai.ConflictError) as caught:
        await talk.say("second", on_conflict="reject")
    third = asyncio.create_task(talk.say("third"))
    forked = asyncio.create_task(talk.say("fourth", on_conflict="fork"))
    async with asyncio.timeout(30):
        while len(engine.seen) < 2:
            await asyncio.sleep(0.02)
    engine.gate.set()
    answers = await asyncio.gather(first, third, forked)

    assert (caught.value.code, caught.value.response.headers["x-should-retry"]) == ("session_busy", "false")
    assert [one.headers.get("x-sage-branch") for one in answers] == [None, None, "fork-1"]
    assert [text for _, text in await talk.told()] == ["first", "You said: first", "third", "You said: third"]


async def test_an_answer_is_given_again_in_a_branch(talk: Talk, engine: FakeEngine) -> None:
    engine.then(words=("one",))
    await talk.say("Tell me a number.")
    question = (await talk.asked("GET", ""))["messages"][0]["id"]
    await talk.asked("POST", "/fork", {"at": question, "before": True, "name": "again"})
    engine.then(words=("two",))
    answer = await talk.say("Tell me a number.")

    assert answer.headers["x-sage-branch"] == "again"
    assert await talk.told() == [("user", "Tell me a number."), ("assistant", "two")]
    main = await talk.asked("GET", "?branch=main")
    assert [one["content"] for one in main["messages"]] == ["Tell me a number.", "one"]


async def test_a_receipt_of_a_long_session_passes_the_front_door(talk: Talk) -> None:
    for number in range(12):
        await talk.say(f"The number {number} is mine, remember it. " * 5)
    answer = await talk.say("Which numbers are mine?", explain=True, rag=True)

    told = json.loads(answer.headers["x-sage-receipt"])["prompt"]
    assert (told["messages_told"] > 0, told["tokens"]["history"] > 0, told["passages"] >= 0) == (True, True, True)


async def test_a_store_that_is_killed_in_mid_answer_gets_the_turn_when_it_is_back(
    stack: Stack, talk: Talk, engine: FakeEngine
) -> None:
    await talk.say("first")
    engine.gate.clear()
    engine.asked.clear()
    asking = asyncio.create_task(talk.heard("second"))
    await asyncio.wait_for(engine.asked.wait(), 30)
    await asyncio.to_thread(worker_killed, stack, "session-store")
    engine.gate.set()

    assert (await asking)[0] == "You said: second"
    assert [text for _, text in await talk.told()] == ["first", "You said: first", "second", "You said: second"]


async def test_a_gateway_that_is_killed_in_mid_answer_holds_up_its_session_no_longer_than_the_lease(
    stack: Stack, http: aiohttp.ClientSession, talk: Talk, engine: FakeEngine
) -> None:
    engine.gate.clear()
    dying = asyncio.create_task(talk.heard("first"))
    await asyncio.wait_for(engine.asked.wait(), 30)
    await asyncio.to_thread(worker_killed, stack, "chat-gateway")
    with pytest.raises((openai.APIError, aiohttp.ClientError)):
        await dying
    engine.gate.set()

    async def is_up() -> bool:
        async with http.get("/v1/models") as response:
            return engine.model in await response.text()

    await until(is_up)
    async with asyncio.timeout(30):
        await talk.say("second")

    told = (await talk.asked("GET", ""))["messages"]
    assert [(one["content"], one["metadata"].get("status")) for one in told] == [
        ("first", "unanswered"),
        ("second", None),
        ("You said: second", None),
    ]
    assert [one["content"] for one in engine.seen[-1].body["messages"]] == ["second"]


@pytest.mark.parametrize("name", ["valkey", "session-store"])
async def test_a_store_that_hangs_is_told_soon_and_spares_other_chats(
    stack: Stack, talk: Talk, engine: FakeEngine, name: str
) -> None:
    parent = psutil.Process(stack.pid(name))
    family = [parent, *parent.children(recursive=True)]
    for one in family:
        one.suspend()
    try:
        quickest = min([await seconds_of_a_chat(talk) for _ in range(3)])
        asked = len(engine.seen)
        async with asyncio.timeout(20):
            with pytest.raises(openai.InternalServerError) as caught:
                await talk.say("Hello")
    finally:
        for one in family:
            one.resume()

    assert quickest < 2
    assert (caught.value.status_code, "retry-after" in caught.value.response.headers) == (503, True)
    assert len(engine.seen) == asked


async def seconds_of_a_chat(talk: Talk) -> float:
    """Of one without a session."""
    began = time.monotonic()
    await talk.client.chat.completions.create(model=talk.model, messages=[{"role": "user", "content": "Hi"}])
    return time.monotonic() - began


async def test_sixteen_clients_in_one_session_over_two_replicas_lose_and_double_nothing(
    shared_redis: RedisServer,
) -> None:
    clients, turns = 16, 50
    began = time.monotonic()
    async with pair(shared_redis, FakeEngine()) as both:
        answers = await asyncio.gather(*(both.client(number, turns) for number in range(clients)))
        said = await both.said()

    print(f"{clients * turns} turns in one session in {time.monotonic() - began:.1f} s")
    assert {one.status for told in answers for one in told} == {200}
    assert legal(said, clients, turns)


async def test_calls_cancelled_at_any_moment_mix_nothing_up(shared_redis: RedisServer) -> None:
    sessions, calls = 40, 50
    dice, at_once = random.Random(4), asyncio.Semaphore(8)
    async with pair(shared_redis, FakeEngine()) as both:

        async def called(session: str, number: int) -> None:
            gate, text = both.gates[number % 2], f"{session} says {number}"
            async with at_once:
                asking = asyncio.create_task(gate.chat(text, session_id=session, stream=bool(number % 3)))
                await asyncio.wait({asking}, timeout=dice.random() * 0.2)
                if not asking.cancel():
                    assert asking.result().text == f"You said: {text}"
                await asyncio.wait({asking})

        async def caller(number: int) -> str:
            session = f"{both.session}-{number}"
            for call in range(calls):
                await called(session, call)
            last = await both.gates[0].chat(f"{session} says good bye", session_id=session)
            assert last.text == f"You said: {session} says good bye"
            return session

        names = await asyncio.gather(*map(caller, range(sessions)))
        told = {name: await both.said_in(name) for name in names}

    kept = sum(len(said) // 2 - 1 for said in told.values())
    print(f"{sessions * calls} calls cancelled at any moment: {kept} turns kept")
    assert 0 < kept < sessions * calls
    for name, said in told.items():
        for question, answer in zip(said[::2], said[1::2], strict=True):
            assert question.startswith(f"{name} says ")
            assert f"You said: {question}".startswith(answer)
