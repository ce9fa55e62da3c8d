import asyncio

import pytest

from chat_gateway.domain.dispatching import Dispatch, Opened
from chat_gateway.domain.ports import EngineRefused, Flow, Outcome, Target, Whole
from chat_gateway.domain.resolving import Route
from sage_contracts.errors import NoEngineAvailable, SageError, UpstreamError, UpstreamTimeout
from tests.chat_gateway.domain.doubles import DROPPED, CountingMeter, ScriptedEngines, ScriptedFlow
from tests.chat_gateway.domain.test_fleet import engine, fleet_of

GOOD = Whole(200, "application/json", b"{}")
ROUTE = Route("m", "m", "llm", label="m")
Scripted = Whole | Flow | BaseException


def refusing(status: int) -> Whole:
    return Whole(status, "application/json", b"{}", "3")


class Scene:
    def __init__(self, **answers: Scripted) -> None:
        self.engines = ScriptedEngines(**answers)
        self.meter = CountingMeter()
        self.fleet = fleet_of(*(engine(name) for name in answers if name != "upstream"))
        self.dispatch = Dispatch(self.fleet, self.engines, self.meter)

    async def open(self, route: Route = ROUTE) -> Opened:
        return await self.dispatch.open(route, "/chat/completions", b"{}", streamed=True)


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (EngineRefused("no"), "refused"),
        (DROPPED, "dropped"),
        (refusing(502), "rejected"),
        (refusing(503), "rejected"),
        (refusing(504), "rejected"),
        (refusing(429), "rejected"),
    ],
)
async def test_another_engine_answers_in_its_place(first: Scripted, outcome: Outcome) -> None:
    scene = Scene(bad=first, good=GOOD)
    free = scene.fleet.take("good")
    opened = await scene.open()
    free()

    assert (opened.engine_id, opened.answer) == ("good", GOOD)
    assert scene.engines.asked == ["bad", "good"]
    assert scene.meter.attempts == [outcome, "answered"]


@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_an_answer_that_another_engine_would_give_too_is_final(status: int) -> None:
    scene = Scene(a=refusing(status), b=refusing(status))

    assert (await scene.open()).answer == refusing(status)
    assert len(scene.engines.asked) == 1


async def test_three_engines_are_asked_at_most_and_none_twice() -> None:
    scene = Scene(**{name: EngineRefused("no") for name in "abcd"})
    with pytest.raises(NoEngineAvailable):
        await scene.open()

    assert len(scene.engines.asked) == len(set(scene.engines.asked)) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (EngineRefused("no"), NoEngineAvailable),
        (refusing(503), NoEngineAvailable),
        (DROPPED, UpstreamError),
        (refusing(502), UpstreamError),
        (refusing(504), UpstreamError),
        (UpstreamTimeout("slow"), UpstreamTimeout),
    ],
)
async def test_the_last_failure_is_told(answer: Scripted, error: type[SageError]) -> None:
    with pytest.raises(error):
        await Scene(a=answer).open()


async def test_a_429_of_the_only_engine_is_the_clients_to_know() -> None:
    assert (await Scene(a=refusing(429)).open()).answer == refusing(429)


async def test_a_slow_engine_is_not_followed_by_another() -> None:
    scene = Scene(a=UpstreamTimeout("slow"), b=UpstreamTimeout("slow"))
    with pytest.raises(UpstreamTimeout):
        await scene.open()

    assert scene.meter.attempts == ["timeout"]


async def test_no_engine_left_is_no_engine() -> None:
    with pytest.raises(NoEngineAvailable):
        await Scene().open()


@pytest.mark.parametrize("answer", [GOOD, DROPPED, refusing(503), UpstreamTimeout("slow"), asyncio.CancelledError()])
async def test_an_engine_that_is_done_is_not_counted_any_more(answer: Scripted) -> None:
    scene = Scene(a=answer)
    await asyncio.gather(scene.open(), return_exceptions=True)

    assert scene.fleet.load() == {}


async def test_a_stream_counts_until_it_is_closed() -> None:
    flow = ScriptedFlow(b"x")
    scene = Scene(a=flow)
    opened = await scene.open()

    assert scene.fleet.load() == {"a": 1}
    opened.close()
    assert (scene.fleet.load(), flow.closed) == ({}, True)


async def test_an_engine_that_refused_is_asked_last_next_time() -> None:
    scene = Scene(bad=EngineRefused("no"), good=GOOD)
    for _ in range(20):
        await scene.open()

    assert scene.engines.asked.count("bad") <= 1


async def test_the_upstream_is_asked_once() -> None:
    scene = Scene(upstream=EngineRefused("no"))
    route = Route("m", "m", "llm", label="m", upstream=Target("upstream", "http://up/v1", "key"))
    with pytest.raises(NoEngineAvailable):
        await scene.open(route)

    assert scene.engines.asked == ["upstream"]
