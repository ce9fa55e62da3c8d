"""The short-term memory over both adapters: it reads as far back as it must, and no further."""

import pytest

from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from session_store.domain.memories import MESSAGES_A_DIALOG
from tests.session_store.parts import Clock, Desk, Store, desk_over, exchange, key, said, texts


async def context(desk: Desk, budget: int | None = None, session_id: str = "s1") -> turn_wire.Context:
    return await desk.context(session_id, budget)


async def commit(desk: Desk, turn_id: str, messages: list[wire.NewMessage]) -> None:
    await desk.told("s1", turn_id, messages)


async def test_a_session_that_does_not_exist_has_no_messages(desk: Desk) -> None:
    told = await context(desk)

    assert (told.messages, told.dropped, told.tokens) == ([], 0, 0)


async def test_the_dialogs_are_told_oldest_first(desk: Desk) -> None:
    await commit(desk, "1", exchange("q1", "a1"))
    await commit(desk, "2", exchange("q2", "a2"))

    assert texts((await context(desk)).messages) == ["q1", "a1", "q2", "a2"]


async def test_what_does_not_fit_is_counted(desk: Desk) -> None:
    for number in range(5):
        await commit(desk, str(number), exchange(f"question {number}"))

    told = await context(desk, budget=30)

    assert (texts(told.messages)[0], len(told.messages), told.dropped) == ("question 3", 4, 6)
    assert told.tokens <= 30


@pytest.mark.slow
async def test_instructions_are_told_however_old_they_are(desk: Desk) -> None:
    await commit(desk, "0", [said("system", "be brief"), *exchange("q0")])
    for number in range(1, 200):
        await commit(desk, str(number), exchange(f"q{number}"))

    told = await context(desk)

    assert texts(told.messages)[0] == "be brief"
    assert texts(told.messages)[1::2] == [f"q{number}" for number in range(180, 200)]
    assert told.dropped == 360


async def test_newer_instructions_replace_the_older_and_are_not_dropped_words(desk: Desk) -> None:
    await commit(desk, "1", [said("system", "be brief"), *exchange("q1", "a1")])
    await commit(desk, "2", [said("developer", "be long"), said("system", "and kind"), *exchange("q2", "a2")])

    told = await context(desk)

    assert texts(told.messages) == ["be long", "and kind", "q1", "a1", "q2", "a2"]
    assert told.dropped == 0


async def test_instructions_stay_right_after_a_clear(desk: Desk) -> None:
    await commit(desk, "1", [said("system", "be brief"), *exchange("q1")])
    await desk.sessions.clear("local", "s1")
    nothing = await context(desk)
    await commit(desk, "2", exchange("q2", "a2"))
    await commit(desk, "3", [*exchange("q3", "a3"), said("system", "be kind")])

    told = await context(desk)

    assert nothing.messages == []
    assert texts(told.messages) == ["be kind", "q2", "a2", "q3", "a3"]


async def test_long_dialogs_are_read_as_far_back_as_the_budget_reaches(place: Store) -> None:
    desk = desk_over(place, max_dialogs=2, budget_tokens=10_000)
    await commit(desk, "0", exchange("too old"))
    for number in range(2):
        steps = [said("assistant", f"step {step}") for step in range(MESSAGES_A_DIALOG * 12)]
        await commit(desk, f"1{number}", [said("user", f"q{number}"), *steps])

    told = await context(desk)

    assert len(told.messages) == 2 * (MESSAGES_A_DIALOG * 12 + 1)
    assert (texts(told.messages)[0], told.dropped) == ("q0", 2)


async def test_a_tool_call_in_one_turn_and_its_result_in_the_next_are_one_dialog(desk: Desk) -> None:
    call = wire.NewMessage(role="assistant", tool_calls=[{"id": "c1", "type": "function", "function": {"name": "f"}}])
    await commit(desk, "1", [said("user", "q1"), call])
    await commit(desk, "2", [said("tool", "42", tool_call_id="c1"), said("assistant", "it is 42")])

    told = await context(desk)
    nothing = await context(desk, budget=told.tokens - 1)

    assert [message.role for message in told.messages] == ["user", "assistant", "tool", "assistant"]
    assert told.messages[1].tool_calls == call.tool_calls
    assert nothing.messages == []


@pytest.mark.parametrize(("dialogs", "held", "percent"), [(0, 0, 0.0), (1, 1, 33.3), (3, 3, 100.0), (9, 3, 100.0)])
async def test_use_is_full_at_most(place: Store, clock: Clock, dialogs: int, held: int, percent: float) -> None:
    desk = desk_over(place, clock, max_dialogs=3)
    await desk.store.sessions.create(key(), title="", now_us=clock.us)
    if dialogs:
        await commit(desk, "1", [said("user", str(number)) for number in range(dialogs)])

    stats = await desk.remembering.stats("local")

    use = stats.sessions["s1"]
    assert (use.dialog_count, use.max_dialogs, use.usage_percent) == (held, 3, percent)
