"""The client in asyncio, against scripted engines and a gateway that tells of them."""

import asyncio

import pytest

from sage_client.async_client import AsyncClient
from sage_client.exchanges import Limits
from sage_client.failures import NoBackendAvailable
from sage_contracts.errors import EngineBroke, InvalidRequest, RateLimited, UpstreamError
from tests.client.fleet import Gateway, fleet, gateway, told, view
from tests.fakes.cluster import free_port
from tests.fakes.engine import Script, fake_engine, vector

HELLO = [{"role": "user", "content": "Hello"}]
QUICK = Limits(connect_seconds=10, silence_seconds=2)


async def test_everything_is_asked_of_the_address_given() -> None:
    async with (
        fake_engine(script=Script(extra={"reasoning": "none"})) as engine,
        AsyncClient(f"{engine.url}/v1") as client,
    ):
        answer = await client.chat(HELLO, model="tiny", max_tokens=5)
        completion = await client.completion("Hi", model="tiny")
        embeddings = await client.embeddings(["a", "b"], model="tiny")
        models = await client.models()

    assert (answer.text, answer.choices[0].finish_reason, answer.usage is not None) == ("You said: Hello", "stop", True)
    assert answer.raw["choices"][0]["message"]["reasoning"] == "none"
    assert completion.text == "You said: Hi"
    assert embeddings.vectors == [vector("a"), vector("b")]
    assert [one.id for one in models.data] == ["tiny"]
    assert engine.seen[0].body == {"messages": HELLO, "model": "tiny", "max_tokens": 5, "stream": False}


async def test_a_streamed_answer_comes_frame_by_frame() -> None:
    async with fake_engine() as engine, AsyncClient(engine.url) as client:
        frames = [frame async for frame in await client.stream_chat(HELLO, stream_options={"include_usage": True})]
        written = "".join([frame.text async for frame in await client.stream_completion("Hi")])

    assert ("".join(frame.text for frame in frames), frames[-1].usage is not None) == ("You said: Hello", True)
    assert written == "You said: Hi"


async def test_leaving_a_stream_stops_the_engine() -> None:
    async with fake_engine(script=Script(silent_after=1)) as engine, AsyncClient(engine.url) as client:
        async with await client.stream_chat(HELLO) as stream:
            await anext(stream)
        await asyncio.wait_for(engine.left.wait(), 30)


@pytest.mark.parametrize("script", [Script(cut_after=1), Script(stop_after=1), Script(error_after=1)], ids=str)
async def test_an_answer_that_breaks_off_is_told_and_not_asked_again(script: Script) -> None:
    async with fleet() as (told_by, engines), AsyncClient(told_by.url, direct=True) as client:
        engines[0].script = script
        stream = await client.stream_chat(HELLO, model="tiny")
        with pytest.raises(EngineBroke):
            async for _ in stream:
                pass

    assert len(engines[1].seen) == 0


@pytest.mark.parametrize(
    "script",
    [
        Script(cut_at_once=True),
        Script(cut_before_body=True),
        pytest.param(Script(silent_after=0), marks=pytest.mark.slow),
        *(Script(status=status, refusal="away") for status in (429, 502, 503, 504)),
    ],
    ids=str,
)
async def test_an_engine_that_fails_before_the_first_byte_is_passed_over(script: Script) -> None:
    async with fleet() as (told_by, engines), AsyncClient(told_by.url, direct=True, limits=QUICK) as client:
        engines[0].script = script
        async with await client.stream_chat(HELLO, model="tiny") as stream:
            text = "".join([frame.text async for frame in stream])
        again = await client.chat(HELLO, model="tiny")

    assert (text, again.text) == ("You said: Hello", "You said: Hello")
    assert (len(engines[0].seen), len(engines[1].seen)) == (1, 2)


async def test_a_refusal_of_the_request_is_raised_and_no_other_engine_is_asked() -> None:
    refusal = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
    async with fleet() as (told_by, engines), AsyncClient(told_by.url, direct=True) as client:
        engines[0].script = Script(status=400, refusal=refusal)
        with pytest.raises(InvalidRequest, match="too long"):
            await client.chat(HELLO, model="tiny")

    assert len(engines[1].seen) == 0


async def test_one_that_says_a_repeat_is_useless_is_believed() -> None:
    async with fleet() as (told_by, engines), AsyncClient(told_by.url, direct=True) as client:
        engines[0].script = Script(status=504, headers={"x-should-retry": "false"})
        with pytest.raises(UpstreamError):
            await client.chat(HELLO, model="tiny")

    assert len(engines[1].seen) == 0


async def test_when_all_are_too_busy_that_is_what_is_raised() -> None:
    refusal = {"error": {"message": "busy", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
    async with fleet() as (told_by, engines), AsyncClient(told_by.url, direct=True) as client:
        for engine in engines:
            engine.script = Script(status=429, refusal=refusal, headers={"Retry-After": "7"})
        with pytest.raises(RateLimited) as raised:
            await client.chat(HELLO, model="tiny")

    assert raised.value.retry_after == 7


async def test_when_none_is_there_the_reason_names_each() -> None:
    async with gateway() as one, AsyncClient(one.url, direct=True, limits=QUICK) as client:
        one.backends = told(
            [view("a", f"http://127.0.0.1:{free_port()}"), view("b", f"http://127.0.0.1:{free_port()}")]
        )
        with pytest.raises(NoBackendAvailable) as raised:
            await client.chat(HELLO, model="tiny")

    assert (raised.value.reason, len(raised.value.tried)) == ("no backend answers", 2)
    assert all("cannot be reached" in text for text in raised.value.tried)


async def test_a_gateway_without_an_engine_says_what_to_run() -> None:
    async with gateway() as one, AsyncClient(one.url) as client:
        with pytest.raises(NoBackendAvailable, match="run `sage llm engine start PRESET`"):
            await client.chat(HELLO)


async def test_another_gateway_is_asked_when_one_is_away() -> None:
    away = f"http://127.0.0.1:{free_port()}"
    async with fake_engine() as engine, AsyncClient([away, engine.url]) as client:
        assert (await client.chat(HELLO)).text == "You said: Hello"
        assert [one.id for one in (await client.models()).data] == ["tiny"]


async def test_a_turn_of_a_session_has_one_name_however_many_gateways_are_asked() -> None:
    async with (
        fake_engine(script=Script(cut_at_once=True)) as dying,
        fake_engine() as answering,
        AsyncClient([dying.url, answering.url]) as client,
    ):
        for more in ({"session_id": "s1"}, {"session_id": "s1"}, {}):
            await client.chat(HELLO, **more)

    asked = [one.headers.get("idempotency-key") for one in [*dying.seen, *answering.seen]]
    first, again, next_turn, plain = asked
    assert first == again != next_turn
    assert (next_turn is None, plain) == (False, None)


@pytest.mark.parametrize("direct", [True, False])
async def test_with_no_gateway_at_all_it_says_so(direct: bool) -> None:
    async with AsyncClient(f"http://127.0.0.1:{free_port()}", direct=direct) as client:
        for question in (client.chat(HELLO, model="tiny"), client.models(), client.backends()):
            with pytest.raises(NoBackendAvailable, match="cannot be reached"):
                await question


async def test_direct_requests_go_to_engines_and_name_their_model() -> None:
    async with fleet() as (told_by, engines), AsyncClient(told_by.url, direct=True) as client:
        answer = await client.chat(HELLO)
        vectors = (await client.embeddings("a")).vectors
        models = await client.models()

    assert (answer.text, vectors, [one.id for one in models.data]) == ("You said: Hello", [vector("a")], ["tiny"])
    assert engines[0].seen[0].body["model"] == "tiny"


async def test_running_requests_are_shared_out() -> None:
    async with fleet() as (told_by, engines), AsyncClient(told_by.url, direct=True) as client:
        for engine in engines:
            engine.gate.clear()
        asked = [asyncio.create_task(client.chat(HELLO, model="tiny")) for _ in range(6)]
        await asyncio.gather(*(engine.asked.wait() for engine in engines))
        for engine in engines:
            engine.gate.set()
        await asyncio.gather(*asked)

    assert [len(engine.seen) for engine in engines] == [3, 3]


async def test_backends_are_refreshed_in_the_background_until_it_is_closed() -> None:
    async with fleet(engines=1) as (told_by, engines):
        async with AsyncClient(told_by.url, direct=True, limits=Limits(refresh_seconds=0.02)) as client:
            await client.backends()
            told_by.backends = told([view("other", engines[0].url, model="new")])
            await _asked_again(told_by)
            assert (await client.chat(HELLO)).text
            told_by.away = True
            await _asked_again(told_by)
            assert [one.instance_id for one in (await client.backends()).llm_backends] == ["other"]
        await asyncio.sleep(0.1)  # in which a request that was on its way arrives
        before = told_by.times
        await asyncio.sleep(0.1)

    assert engines[0].seen[0].body["model"] == "new"
    assert told_by.times == before


async def _asked_again(told_by: Gateway) -> None:
    """Twice, so that the answer to the first has been taken in."""
    for _ in range(2):
        told_by.refreshed.clear()
        await asyncio.wait_for(told_by.refreshed.wait(), 30)
