"""Vectors from an engine of the fleet, over a real socket: batches, retries, refusals, and an engine that is away."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from rag_indexer.adapters.engine_encoder import EngineEncoder, Pace, Prefixes, engine_encoder
from sage_contracts.errors import EncoderAway
from tests.fakes.cluster import free_port
from tests.fakes.engine import FakeEngine, Script, fake_engine

QUICK = Pace(batch=4, at_once=2, query=5, passages=5, attempts=3, backoff=0.01, longest=0.05, pause=30)
PLAIN = Prefixes()
TOO_LONG = {"error": {"message": "input is too large", "type": "invalid_request_error"}}


@asynccontextmanager
async def encoder(engine: FakeEngine, prefixes: Prefixes = PLAIN, pace: Pace = QUICK) -> AsyncGenerator[EngineEncoder]:
    async with engine_encoder(engine.url, "tiny", prefixes, pace) as found:
        yield found


def asked(engine: FakeEngine) -> list[Any]:
    return [seen.body["input"] for seen in engine.seen]


def lengths(engine: FakeEngine) -> list[int]:
    return [len(texts[0]) for texts in asked(engine)]


async def seen(engine: FakeEngine, requests: int) -> None:
    async with asyncio.timeout(30):
        while len(engine.seen) < requests:
            engine.asked.clear()
            await engine.asked.wait()


async def test_vectors_have_length_one_and_come_in_the_order_of_the_texts() -> None:
    texts = [f"text {number}" for number in range(10)]
    async with fake_engine() as engine, encoder(engine) as found:
        together = await found.encode(texts, kind="passage")
        alone = [(await found.encode([text], kind="passage"))[0] for text in texts]

    assert together == alone
    assert all(math.isclose(math.hypot(*vector), 1) for vector in together)


async def test_passages_are_asked_in_batches_and_no_more_at_once_than_set() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        await found.encode([str(number) for number in range(10)], kind="passage")

    assert sorted(map(len, asked(engine))) == [2, 4, 4]
    assert engine.connections <= QUICK.at_once


async def test_no_text_asks_nothing() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        assert await found.encode([], kind="passage") == []

    assert engine.seen == []


async def test_the_models_prefixes_stand_before_each_kind() -> None:
    async with fake_engine() as engine, encoder(engine, Prefixes("query:", "passage:")) as found:
        await found.encode(["a"], kind="passage")
        await found.encode(["b"], kind="query")

    assert asked(engine) == [["passage: a"], ["query: b"]]


async def test_dimensions_are_asked_for_each_time_as_another_engine_may_have_the_name() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        (vector,) = await found.encode(["x"], kind="passage")
        assert [await found.dimensions(), await found.dimensions()] == [len(vector)] * 2

    assert len(engine.seen) == 3


async def test_the_fingerprint_tells_the_model_and_its_prefixes_apart() -> None:
    async with fake_engine() as engine, encoder(engine) as one, encoder(engine, Prefixes("query:")) as other:
        assert one.fingerprint != other.fingerprint
        assert " " not in one.fingerprint + other.fingerprint


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"cut_at_once": True}, {"refusal": "no json"}])
async def test_passages_are_asked_again_after_a_passing_fault(fault: dict[str, Any]) -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(**fault)
        engine.then(**fault)

        assert len(await found.encode(["a"], kind="passage")) == 1
        assert len(engine.seen) == 3


@pytest.mark.parametrize(("quick", "after"), [(0, ["ef", "gh", "i"]), (60, ["efgh", "i"])])
async def test_a_batch_that_was_too_slow_is_asked_in_halves_and_so_are_others_until_it_is_quick(
    quick: float, after: list[str]
) -> None:
    async with fake_engine() as engine, encoder(engine, pace=replace(QUICK, at_once=1, quick=quick)) as found:
        engine.then(status=504)

        assert len(await found.encode(list("abcdefghi"), kind="passage")) == 9

    assert list(map("".join, asked(engine))) == ["abcd", "ab", "cd", *after]


async def test_an_engine_that_was_away_for_long_is_asked_whole_batches_again() -> None:
    async with fake_engine() as engine, encoder(engine, pace=replace(QUICK, attempts=1, quick=60)) as found:
        for _ in range(5):
            engine.then(status=504)
            with pytest.raises(EncoderAway):
                await found.dimensions()
        for _ in range(3):
            await found.encode(list("abcd"), kind="passage")

    assert list(map("".join, asked(engine)[5:])) == ["a", "b", "c", "d", "ab", "cd", "abcd"]


async def test_one_that_is_not_answered_in_time_was_too_slow() -> None:
    async with fake_engine() as engine, encoder(engine, pace=replace(QUICK, passages=0.3, attempts=9)) as found:
        engine.gate.clear()
        build = asyncio.create_task(found.encode(["a", "b"], kind="passage"))
        await seen(engine, 2)
        engine.gate.set()

        assert len(await build) == 2

    assert asked(engine)[:2] == [["a", "b"], ["a"]]


async def test_passages_are_given_up_after_the_last_attempt() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        for _ in range(QUICK.attempts):
            engine.then(status=503)

        with pytest.raises(EncoderAway, match="answered 503") as raised:
            await found.encode(["a"], kind="passage")

    assert raised.value.retry_after is not None
    assert len(engine.seen) == QUICK.attempts


async def test_a_refused_batch_is_asked_in_halves() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=413, refusal=TOO_LONG)

        assert len(await found.encode(["a", "b", "c"], kind="passage")) == 3

    assert asked(engine) == [["a", "b", "c"], ["a"], ["b", "c"]]


async def test_a_refused_text_is_cut_until_it_fits() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=400, refusal=TOO_LONG)
        engine.then(status=413, refusal=TOO_LONG)

        assert len(await found.encode(["x" * 1000], kind="passage")) == 1

    assert lengths(engine) == [1000, 500, 250]


async def test_a_text_is_not_cut_for_a_fault_that_passes() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=500)

        assert len(await found.encode(["x" * 1000], kind="passage")) == 1

    assert lengths(engine) == [1000, 1000]


async def test_a_text_is_cut_whose_fault_stays_while_its_beginning_has_none() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        for status in (500, 500, 200):
            engine.then(status=status)

        assert len(await found.encode(["x" * 1000], kind="passage")) == 1

    assert lengths(engine) == [1000, 1000, 200, 500]


async def test_a_text_is_not_cut_while_nothing_can_be_embedded() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        for _ in range(5):
            engine.then(status=500)

        with pytest.raises(EncoderAway, match="answered 500"):
            await found.encode(["x" * 1000], kind="passage")

    assert lengths(engine) == [1000, 1000, 200, 1000, 200]


async def test_a_text_that_is_refused_however_short_is_told_at_once() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=400, refusal=TOO_LONG)

        with pytest.raises(EncoderAway, match="refuses to embed"):
            await found.encode(["x"], kind="passage")

    assert len(engine.seen) == 1


async def test_an_engines_own_fault_is_asked_again() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=502)

        assert len(await found.encode(["x"], kind="passage")) == 1

    assert len(engine.seen) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": ["a"]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]},
        {},
        [],
    ],
)
async def test_an_answer_without_a_vector_for_each_text_is_no_answer(body: object) -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(refusal=body or "{}")

        with pytest.raises(EncoderAway):
            await found.encode(["x"], kind="query")


async def test_a_vector_without_a_direction_is_zeros() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(refusal={"data": [{"index": 0, "embedding": [0.0, 0.0]}]})

        assert await found.encode(["x"], kind="query") == [[0.0, 0.0]]


async def test_a_question_is_asked_once_and_then_not_for_a_while() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=503)
        for _ in range(3):
            with pytest.raises(EncoderAway):
                await found.encode(["x"], kind="query")

        assert len(engine.seen) == 1
        assert len(await found.encode(["x"], kind="passage")) == 1  # a build waits and asks for itself


async def test_a_long_question_is_not_asked_again_after_a_fault() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=502)

        with pytest.raises(EncoderAway, match="answered 502"):
            await found.encode(["x" * 1000], kind="query")

    assert lengths(engine) == [1000]


@pytest.mark.parametrize(("status", "text"), [(500, "x" * 1000), (400, "x")])
async def test_a_question_that_is_refused_keeps_no_other_from_being_asked(status: int, text: str) -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.then(status=status, refusal=TOO_LONG)

        with pytest.raises(EncoderAway):
            await found.encode([text], kind="query")
        assert len(await found.encode(["y"], kind="query")) == 1


async def test_what_a_question_is_asked_in_has_one_time_together() -> None:
    async with fake_engine() as engine, encoder(engine, pace=Pace(query=0.3)) as found:
        engine.then(status=413, refusal=TOO_LONG)
        engine.script = Script(delay=0.2)

        with pytest.raises(EncoderAway, match="TimeoutError"):
            await found.encode(["x", "y"], kind="query")


async def test_a_question_does_not_wait_for_a_slow_engine() -> None:
    async with fake_engine() as engine, encoder(engine, pace=Pace(query=0.05)) as found:
        engine.gate.clear()

        with pytest.raises(EncoderAway, match="TimeoutError"):
            await asyncio.wait_for(found.encode(["x"], kind="query"), 5)


async def test_a_question_goes_before_a_line_of_passages() -> None:
    async with fake_engine() as engine, encoder(engine) as found:
        engine.gate.clear()
        build = asyncio.create_task(found.encode([str(number) for number in range(40)], kind="passage"))
        await seen(engine, QUICK.at_once)
        question = asyncio.create_task(found.encode(["x"], kind="query"))
        await seen(engine, QUICK.at_once + 1)

        assert asked(engine)[-1] == ["x"]
        engine.gate.set()
        assert len(await question) == 1
        assert len(await build) == 40


async def test_nobody_at_the_address_is_an_encoder_that_is_away() -> None:
    async with engine_encoder(f"http://127.0.0.1:{free_port()}", "tiny", pace=QUICK) as found:
        with pytest.raises(EncoderAway, match="ClientConnectorError"):
            await found.encode(["x"], kind="passage")
