"""A session read as a whole and taken in again is the same."""

from dataclasses import replace

import msgspec
import pytest

from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from sage_contracts.errors import InvalidRequest, SessionNotFound
from session_store.domain.ranges import Range
from tests.session_store.parts import Clock, Desk, exchange, said


async def talked(desk: Desk, turn_id: str, branch: str | None = None, **metadata: object) -> None:
    asked = turn_wire.OpenTurn(turn_id=turn_id, messages=[said("user", turn_id)], branch=branch, digest="d")
    opened = await desk.turns.open("anna", "s1", asked)
    question, answer = exchange(f"question {turn_id}")
    told = msgspec.structs.replace(answer, metadata=dict(metadata))
    turn = turn_wire.CommitTurn(turn_id=turn_id, token=opened.token, branch=opened.branch, messages=[question, told])
    await desk.turns.commit("anna", "s1", turn)


async def test_a_session_that_travelled_is_the_same_elsewhere(desk: Desk, clock: Clock) -> None:
    await talked(desk, "1")
    await desk.sessions.clear("anna", "s1")
    for turn_id in "23":
        await talked(desk, turn_id)
    await desk.branching.fork("anna", "s1", wire.Fork(before=True))
    await talked(desk, "4", finish_reason="interrupted")
    await talked(desk, "4")
    await desk.sessions.retitle("anna", "s1", wire.Retitle(title="mine"))

    whole = await desk.sessions.whole("anna", "s1")
    clock.now += 50
    stored = await desk.sessions.take_in("ben", whole)

    assert (len(whole.log), whole.branches) == (
        6,
        {"main": (Range(0, 4),), "fork-1": (Range(0, 3), Range(4, 6))},
    )
    assert (stored.id, stored.title, stored.message_count) == ("s1", "mine", 5)
    assert await desk.sessions.whole("ben", "s1") == whole
    for query in (wire.ReadQuery(), wire.ReadQuery(branch="main")):
        assert await desk.sessions.read("ben", "s1", query) == await desk.sessions.read("anna", "s1", query)
    assert (await desk.sessions.page("ben", wire.ListQuery())).sessions == [stored]


async def test_a_session_whose_id_is_taken_gets_another(desk: Desk) -> None:
    await talked(desk, "1")
    whole = await desk.sessions.whole("anna", "s1")

    stored = await desk.sessions.take_in("anna", whole)

    assert stored.id != "s1"
    assert (await desk.sessions.stats("anna")).total_sessions == 2
    assert (await desk.sessions.whole("anna", stored.id)).log == whole.log


async def test_what_cannot_be_taken_in_is_refused(desk: Desk) -> None:
    await talked(desk, "1")
    whole = await desk.sessions.whole("anna", "s1")

    with pytest.raises(InvalidRequest):
        await desk.sessions.take_in("anna", replace(whole, session_id="cleanup"))
    with pytest.raises(SessionNotFound):
        await desk.sessions.whole("ben", "s1")
