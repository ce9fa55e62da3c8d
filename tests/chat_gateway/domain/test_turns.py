import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chat_gateway.domain.errands import Errands
from chat_gateway.domain.reading import Transcript
from chat_gateway.domain.turns import NO_WISH, Answered, Turn, Turns, TurnWish, beside
from sage_contracts.errors import (
    InvalidRequest,
    SageError,
    SessionBusy,
    SessionNotFound,
    StoreFull,
    StoreUnavailable,
    TurnLost,
)
from sage_contracts.sessions import Message
from tests.chat_gateway.domain.doubles import CountingMeter, MemoryHistory
from tests.fakes.turns import NOW

QUESTION = {"role": "user", "content": "why?"}
AWAY = StoreUnavailable("away")


def said(text: str = "because", finish: str | None = "stop") -> Transcript:
    transcript = Transcript()
    transcript.read({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})
    return transcript


class Bench:
    """Turns over a history in memory."""

    def __init__(self, *, required: bool = True, failing: Exception | None = None) -> None:
        self.history = MemoryHistory(failing=failing)
        self.errands = Errands()
        self.meter = CountingMeter()
        self.turns = Turns(self.history, self.errands, self.meter, required=required)

    async def opened(
        self, *messages: dict[str, Any], wish: TurnWish = NO_WISH, budget: int | None = None
    ) -> Turn | Answered | None:
        return await self.turns.open("s", list(messages) or [QUESTION], wish, budget_tokens=budget, model="m")

    async def open(self, *messages: dict[str, Any]) -> Turn:
        turn = await self.opened(*messages)
        assert isinstance(turn, Turn)
        return turn


async def becomes(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.002)


async def test_a_turn_is_stored_whole_under_its_token() -> None:
    bench = Bench()
    turn = await bench.open()
    await turn.commit(said(), {"model": "m"})

    (stored,) = bench.history.turns
    assert (stored.turn_id, stored.token, stored.branch) == (bench.history.opened[0].turn_id, 7, "main")
    assert stored.begins == 4  # as the store said when the turn was opened
    assert [(one.role, one.content) for one in stored.messages] == [("user", "why?"), ("assistant", "because")]
    assert stored.messages[1].metadata == {"model": "m", "finish_reason": "stop"}
    assert bench.meter.ends == ["committed"]


async def test_a_turn_is_opened_with_what_is_asked_now() -> None:
    bench = Bench()
    await bench.opened(
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "developer", "content": "shortly"},
        wish=TurnWish(key="k", digest="d", branch="fork-1", on_conflict="reject"),
        budget=99,
    )

    (asked,) = bench.history.opened
    assert [(one.role, one.content) for one in asked.messages] == [("user", "c")]
    assert (asked.turn_id, asked.digest, asked.question) == ("key:k", "d", "c")
    assert (asked.branch, asked.on_conflict, asked.budget_tokens, asked.model) == ("fork-1", "reject", 99, "m")


async def test_which_message_cannot_be_stored_is_told() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await Bench().open({"role": "user", "content": "a"}, {"role": "user", "content": 5})

    assert caught.value.param == "messages[1].content"


async def test_more_than_a_turn_can_store_is_refused_before_it_is_asked_and_the_turn_given_back() -> None:
    bench = Bench()
    told = [{"role": "assistant" if number % 2 else "user", "content": f"{number}"} for number in range(1_001)]
    with pytest.raises(InvalidRequest, match="1001 are new to the session, and a turn has at most 1000"):
        await bench.open(*told)
    await bench.errands.settled()

    assert [one.token for one in bench.history.abandoned] == [7]


async def test_turns_without_a_key_have_names_of_their_own() -> None:
    bench = Bench()
    await bench.opened()
    await bench.opened()

    assert len({one.turn_id for one in bench.history.opened}) == 2


async def test_a_turn_is_renewed_until_it_is_over() -> None:
    bench = Bench()
    turn = await bench.open()
    await becomes(lambda: len(bench.history.renewed) >= 3)
    await turn.commit(said(), {})
    renewed = len(bench.history.renewed)
    await asyncio.sleep(0.05)

    assert len(bench.history.renewed) == renewed
    assert {one.token for one in bench.history.renewed} == {7}


async def test_a_renewal_that_failed_is_made_again() -> None:
    bench = Bench()
    turn = await bench.open()
    bench.history.failing = AWAY
    await becomes(lambda: len(bench.history.renewed) >= 3)
    turn.abandon()
    await bench.errands.settled()


@pytest.mark.parametrize("gone", [TurnLost("lost"), SessionNotFound("deleted")])
async def test_a_turn_that_is_no_longer_ours_is_not_renewed(gone: SageError) -> None:
    bench = Bench()
    turn = await bench.open()
    bench.history.failing = gone
    await becomes(lambda: len(bench.history.renewed) == 1)
    await asyncio.sleep(0.05)
    turn.abandon()

    assert len(bench.history.renewed) == 1


async def test_a_commit_outlives_the_request_that_began_it() -> None:
    bench = Bench()
    bench.history.gate.clear()
    turn = await bench.open()
    committing = asyncio.create_task(turn.commit(said(), {}))
    await asyncio.sleep(0)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    turn.abandon(said())
    bench.history.gate.set()
    await bench.errands.settled()

    assert (len(bench.history.turns), bench.history.abandoned) == (1, [])


async def test_what_an_interrupted_answer_said_is_kept() -> None:
    bench = Bench()
    turn = await bench.open()
    transcript = said("beca", None)
    transcript.read({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}}]})
    turn.abandon(transcript)
    await bench.errands.settled()

    answer = bench.history.turns[0].messages[-1]
    assert (answer.content, answer.metadata) == ("beca", {"finish_reason": "interrupted"})
    assert not answer.tool_calls
    assert bench.meter.ends == ["interrupted"]


async def test_an_answer_that_said_nothing_is_given_back() -> None:
    bench = Bench()
    turn = await bench.open()
    turn.abandon(Transcript())
    turn.abandon()
    await bench.errands.settled()

    assert ([one.token for one in bench.history.abandoned], bench.history.turns) == ([7], [])
    assert bench.meter.ends == ["abandoned"]


async def test_a_store_that_is_away_is_told_before_and_after() -> None:
    bench = Bench()
    turn = await bench.open()
    bench.history.failing = AWAY

    with pytest.raises(StoreUnavailable):
        await turn.commit(said(), {})
    with pytest.raises(StoreUnavailable):
        await bench.open()
    assert bench.meter.ends == ["failed"]


@pytest.mark.parametrize(
    ("refusal", "given_back"), [(StoreFull("full"), 1), (InvalidRequest("no"), 1), (TurnLost("late"), 0)]
)
async def test_a_turn_that_cannot_be_stored_holds_up_nobody(refusal: SageError, given_back: int) -> None:
    bench = Bench()
    turn = await bench.open()
    bench.history.refusing = refusal
    with pytest.raises(type(refusal)):
        await turn.commit(said(), {})
    await bench.errands.settled()

    assert len(bench.history.abandoned) == given_back


async def test_where_sessions_are_not_required_a_store_that_is_away_is_told_to_nobody() -> None:
    bench = Bench(required=False)
    turn = await bench.open()
    bench.history.failing = AWAY
    await turn.commit(said(), {})

    assert await bench.opened() is None
    assert bench.meter.ends == ["failed", "without"]


async def test_a_refusal_is_told_also_where_sessions_are_not_required() -> None:
    with pytest.raises(SessionBusy):
        await Bench(required=False, failing=SessionBusy("busy")).opened()


async def test_a_session_that_was_deleted_meanwhile_stays_deleted() -> None:
    bench = Bench()
    turn = await bench.open()
    bench.history.failing = SessionNotFound("deleted")
    await turn.commit(said(), {})

    assert bench.meter.ends == ["deleted"]


async def test_a_turn_that_took_too_long_is_told() -> None:
    bench = Bench(required=False)
    turn = await bench.open()
    bench.history.failing = TurnLost("the session has gone on")
    with pytest.raises(TurnLost):
        await turn.commit(said(), {})

    assert bench.meter.ends == ["lost"]


async def test_a_turn_that_was_answered_is_not_opened() -> None:
    bench = Bench()
    bench.history.answered = Message(id="m1", role="assistant", content="42", timestamp=NOW)

    assert await bench.opened() == Answered("s", "main", bench.history.answered)
    assert bench.meter.ends == ["replayed"]


async def test_who_leaves_while_waiting_gives_the_place_up() -> None:
    bench = Bench()
    bench.history.open_gate.clear()
    opening = asyncio.create_task(bench.opened())
    await becomes(lambda: bool(bench.history.opened))
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert bench.history.abandoned == []
    bench.history.open_gate.set()
    await becomes(lambda: bool(bench.history.abandoned))

    assert [one.turn_id for one in bench.history.abandoned] == [bench.history.opened[0].turn_id]
    assert bench.history.renewed == []


async def test_a_stop_does_not_wait_for_turns_that_wait_for_others() -> None:
    bench = Bench()
    bench.history.open_gate.clear()
    opening = asyncio.create_task(bench.opened())
    await becomes(lambda: bool(bench.history.opened))
    opening.cancel()
    async with asyncio.timeout(30):
        await bench.errands.settled()


async def test_a_turn_opened_beside_work_that_fails_is_given_back() -> None:
    bench, is_open = Bench(), asyncio.Event()

    async def opens() -> Turn | Answered | None:
        turn = await bench.opened()
        is_open.set()
        return turn

    async def fails() -> None:
        await is_open.wait()
        raise InvalidRequest("no such collection")

    with pytest.raises(InvalidRequest):
        await beside(opens(), fails())
    await becomes(lambda: len(bench.history.abandoned) == 1)


async def test_a_turn_still_on_its_way_when_other_work_fails_is_given_back() -> None:
    bench = Bench()
    bench.history.open_gate.clear()

    async def fails() -> None:
        await becomes(lambda: bool(bench.history.opened))
        raise InvalidRequest("no such collection")

    with pytest.raises(InvalidRequest):
        await beside(bench.opened(), fails())
    bench.history.open_gate.set()
    await becomes(lambda: bool(bench.history.abandoned))


async def test_work_beside_a_turn_that_is_refused_is_called_off() -> None:
    with pytest.raises(SessionBusy):
        await beside(Bench(failing=SessionBusy("busy")).opened(), asyncio.Event().wait())


async def test_a_message_that_cannot_be_stored_is_refused_before_the_store_is_asked() -> None:
    with pytest.raises(InvalidRequest):
        await Bench(failing=AWAY).opened({"role": "robot"})
