import asyncio

import pytest

from chat_gateway.domain.choosing import Chooser
from chat_gateway.domain.dispatching import Dispatch, Opened, Sending
from chat_gateway.domain.ejecting import FAILURES_IN_A_ROW
from chat_gateway.domain.loads import Loads
from chat_gateway.domain.ports import EngineRefused, Flow, Outcome, Target, Whole
from chat_gateway.domain.resolving import Route
from chat_gateway.domain.retrying import AT_LEAST
from chat_gateway.domain.waiting import Lines
from sage_contracts import fleet as wire
from sage_contracts.errors import (
    AnswerTooLarge,
    ConnectTimeout,
    EnginesBusy,
    FirstByteTimeout,
    NoEngineAvailable,
    RequestTimeout,
    SageError,
    UpstreamError,
)
from tests.chat_gateway.domain.doubles import DROPPED, CountingMeter, ScriptedEngines, ScriptedFlow
from tests.chat_gateway.domain.test_fleet import engine, fleet_of

GOOD = Whole(200, "application/json", b"{}")
ROUTE = Route("m", "m", "llm", label="m")
SENDING = Sending("/chat/completions", b"{}", streamed=True)
Scripted = Whole | Flow | BaseException


def refusing(status: int) -> Whole:
    return Whole(status, "application/json", b"{}", "3")


class Scene:
    def __init__(self, queue_seconds: float = 30.0, /, **answers: Scripted) -> None:
        self.engines = ScriptedEngines(**answers)
        self.meter = CountingMeter()
        self.fleet = fleet_of(*(engine(name) for name in answers if name != "upstream"))
        self.loads = Loads()
        self.chooser = Chooser(self.fleet, self.loads, "least_busy")
        self.lines = Lines(longest=2, seconds=queue_seconds)
        self.dispatch = Dispatch(
            self.fleet, self.engines, self.meter, loads=self.loads, chooser=self.chooser, lines=self.lines
        )

    async def open(self, route: Route = ROUTE) -> Opened:
        return await self.dispatch.open(route, SENDING)


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (EngineRefused("no"), "refused"),
        (DROPPED, "dropped"),
        (refusing(502), "rejected"),
        (refusing(503), "rejected"),
        (refusing(504), "rejected"),
        (refusing(429), "rejected"),
        (ConnectTimeout("slow"), "timeout"),
        (FirstByteTimeout("slow"), "timeout"),
    ],
)
async def test_another_engine_answers_in_its_place(first: Scripted, outcome: Outcome) -> None:
    scene = Scene(bad=first, good=GOOD)
    free = scene.loads.take("good")
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
        (ConnectTimeout("slow"), ConnectTimeout),
        (FirstByteTimeout("slow"), FirstByteTimeout),
    ],
)
async def test_the_last_failure_is_told(answer: Scripted, error: type[SageError]) -> None:
    with pytest.raises(error):
        await Scene(a=answer).open()


async def test_a_429_of_the_only_engine_is_the_clients_to_know() -> None:
    assert (await Scene(a=refusing(429)).open()).answer == refusing(429)


@pytest.mark.parametrize(
    ("failure", "outcome"), [(RequestTimeout("slow"), "timeout"), (AnswerTooLarge("large"), "oversized")]
)
async def test_a_request_that_took_all_an_answer_may_take_is_not_sent_again(failure: SageError, outcome: str) -> None:
    scene = Scene(a=failure, b=failure)
    with pytest.raises(type(failure)):
        await scene.open()

    assert scene.meter.attempts == [outcome]


async def test_no_engine_left_is_no_engine() -> None:
    with pytest.raises(NoEngineAvailable):
        await Scene().open()


@pytest.mark.parametrize("answer", [GOOD, DROPPED, refusing(503), RequestTimeout("slow"), asyncio.CancelledError()])
async def test_an_engine_that_is_done_is_not_counted_any_more(answer: Scripted) -> None:
    scene = Scene(a=answer)
    await asyncio.gather(scene.open(), return_exceptions=True)

    assert scene.loads.own() == {}


async def test_a_stream_counts_until_it_is_closed() -> None:
    flow = ScriptedFlow(b"x")
    scene = Scene(a=flow)
    opened = await scene.open()

    assert scene.loads.own() == {"a": 1}
    opened.close()
    assert (scene.loads.own(), flow.closed) == ({}, True)


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


async def test_repeats_stop_when_the_budget_is_used_up() -> None:
    scene = Scene(a=DROPPED, b=DROPPED, c=DROPPED)
    for _ in range(5):
        with pytest.raises(UpstreamError):
            await scene.open()

    assert len(scene.engines.asked) == 5 + AT_LEAST


@pytest.mark.parametrize("status", [400, 404, 422, 429])
async def test_a_4xx_never_counts_against_an_engine(status: int) -> None:
    scene = Scene(a=refusing(status), b=GOOD)
    for _ in range(4 * FAILURES_IN_A_ROW):
        await scene.open()
    choice = scene.chooser.choose("llm", "m")

    assert [one.excluded for one in choice.candidates] == [None, None]


@pytest.mark.parametrize(
    "bad",
    [DROPPED, refusing(500), refusing(503), FirstByteTimeout("slow"), RequestTimeout("x"), AnswerTooLarge("large")],
)
async def test_an_engine_that_fails_five_times_in_a_row_is_left_alone(bad: Scripted) -> None:
    scene = Scene(a=bad, b=GOOD)
    free = scene.loads.take("b")
    for _ in range(FAILURES_IN_A_ROW):
        await asyncio.gather(*(scene.open() for _ in range(8)), return_exceptions=True)
    free()
    choice = scene.chooser.choose("llm", "m")

    assert [one.excluded for one in choice.candidates] == ["ejected", None]


async def test_streams_that_break_off_count_against_an_engine_and_whole_ones_for_it() -> None:
    scene = Scene(a=ScriptedFlow(b"x"), b=GOOD)
    free = scene.loads.take("b")
    for _ in range(FAILURES_IN_A_ROW - 1):
        (await scene.open()).over("engine")
    (await scene.open()).over(None)
    (await scene.open()).over("engine")
    before = [one.excluded for one in scene.chooser.choose("llm", "m").candidates]
    for _ in range(FAILURES_IN_A_ROW - 1):
        (await scene.open()).over("engine")
    free()

    assert before == [None, None]
    assert [one.excluded for one in scene.chooser.choose("llm", "m").candidates] == ["ejected", None]


async def test_who_asks_by_an_alias_gets_the_model_behind_it() -> None:
    scene = Scene(a=GOOD)
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine("a", "real", aliases=("chat",))]))
    sending = Sending("/chat/completions", b'{"model":"chat","x":1.50}', streamed=False)
    await scene.dispatch.open(Route("chat", "chat", "llm", label="chat"), sending)

    assert scene.engines.bodies == [b'{"model":"real","x":1.50}']


async def test_a_request_waits_while_every_engine_is_at_its_limit() -> None:
    scene = Scene(a=GOOD)
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine("a", limit=1)]))
    free = scene.loads.take("a")
    waiting = asyncio.create_task(scene.open())
    await asyncio.sleep(0.001)
    asked = list(scene.engines.asked)
    free()
    opened = await waiting

    assert (asked, opened.engine_id) == ([], "a")
    assert opened.trail.receipt().waited_seconds > 0


async def test_who_waited_too_long_is_told_when_to_come_again() -> None:
    scene = Scene(0.1, a=GOOD)
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine("a", limit=1)]))
    scene.loads.take("a")
    with pytest.raises(EnginesBusy) as busy:
        await scene.open()

    assert busy.value.retry_after == 1.0


async def test_one_more_than_may_wait_is_told_at_once() -> None:
    scene = Scene(0.1, a=GOOD)
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine("a", limit=1)]))
    scene.loads.take("a")
    told = await asyncio.gather(*(scene.open() for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in told] == [EnginesBusy] * 3
    assert "2 requests wait already" in str(told[-1])


async def test_who_waits_is_told_when_the_last_engine_goes() -> None:
    scene = Scene(a=GOOD)
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine("a", limit=1)]))
    scene.loads.take("a")
    waiting = [asyncio.create_task(scene.open()) for _ in range(2)]
    await asyncio.sleep(0)
    scene.fleet.replace(wire.Fleet(version=3, engines=[]))

    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [NoEngineAvailable] * 2


async def test_the_receipt_tells_the_whole_story() -> None:
    scene = Scene(bad=EngineRefused("no"), good=GOOD)
    free = scene.loads.take("good")
    opened = await scene.open()
    free()
    told = opened.trail.receipt()

    assert (told.model, told.policy, told.engine_id, told.fleet_version) == ("m", "least_busy", "good", 1)
    assert [(one.engine_id, one.excluded) for one in told.candidates] == [("bad", "tried"), ("good", None)]
    assert [(one.engine_id, one.outcome) for one in told.attempts] == [("bad", "refused"), ("good", "answered")]


async def test_a_receipt_stays_small_and_fits_a_header() -> None:
    names = [f"e{number}" * 30 for number in range(500)]
    scene = Scene(**dict.fromkeys(names, GOOD))
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine(name, "模型") for name in names]))
    header = (await scene.open(Route("模型", "模型", "llm", label="模型"))).trail.header()

    assert header.isascii()
    assert len(header) < 3000
    assert '"more_candidates":488' in header
