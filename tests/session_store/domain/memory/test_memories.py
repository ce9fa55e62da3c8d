"""One suite over all four memories, on both adapters: what a turn, and a person who looks, relies on."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import UNSET

from sage_contracts import memory as wire
from sage_contracts import sessions, turns
from sage_contracts.errors import InvalidRequest, MemoryItemNotFound, SessionNotFound
from sage_contracts.recollections import Recollection
from sage_contracts.sessions import Backend
from session_store.domain.memory.vectors import Vectors
from session_store.domain.records import SessionKey
from tests.session_store.domain.memory.parts import FACT, QUESTION, ScriptedScribe, ask, recalled, say, talk
from tests.session_store.parts import Clock, Desk, ListedRecollections, Store, desk_over, exchange, said, texts

FURTHER: list[Backend] = ["vdb", "kv", "graph"]
WINDOW = 3


class Minutes(ScriptedScribe):
    """Knows of the boat what it is told."""

    async def write(self, instructions: str, text: str, *, max_tokens: int) -> str:
        await super().write(instructions, text, max_tokens=max_tokens)
        return "They spoke of a boat, the Albatross." if "Albatross" in text else "They spoke."


def desk_on(place: Store, clock: Clock, backend: Backend) -> Desk:
    """short_term knows what fell out of its window by a summary alone."""
    scribe = Minutes() if backend == "short_term" else None
    return desk_over(place, clock, max_dialogs=WINDOW, backend=backend, scribe=scribe)


@pytest.fixture(params=["short_term", "vdb", "kv", "graph"])
def any_desk(request: pytest.FixtureRequest, place: Store, clock: Clock) -> Desk:
    return desk_on(place, clock, request.param)


@pytest.fixture(params=FURTHER)
def further_desk(request: pytest.FixtureRequest, place: Store, clock: Clock) -> Desk:
    return desk_on(place, clock, request.param)


async def fallen_out(desk: Desk, **who: Any) -> None:
    """The fact is said, and then so much else that the window has lost it and it is summarised."""
    await say(desk, FACT, **who)
    for _ in range(3):
        await talk(desk, WINDOW, **who)
        await ask(desk, "Well?", **who)
    await talk(desk, 1, **who)
    await ask(desk, "Well?", **who)
    await talk(desk, 1, **who)


async def forget_all(desk: Desk) -> list[str]:
    items = (await desk.remembering.items("local", "s1")).items
    for item in items:
        await desk.remembering.forget("local", "s1", item.id)
    return [item.id for item in items]


async def test_a_session_of_nothing_recalls_nothing(any_desk: Desk) -> None:
    context = await ask(any_desk)

    assert (context.messages, context.hits, context.dropped, context.hit_tokens) == ([], [], 0, 0)


async def test_what_the_window_tells_is_not_told_twice(any_desk: Desk) -> None:
    await say(any_desk, FACT)

    context = await ask(any_desk)

    assert texts(context.messages) == [FACT, "I see."]
    assert context.hits == []


async def test_what_fell_out_of_the_window_is_recalled(any_desk: Desk) -> None:
    await fallen_out(any_desk)

    context = await ask(any_desk)

    assert FACT not in texts(context.messages)
    assert "Albatross" in recalled(context)
    assert context.dropped > 0
    assert all(0 <= hit.score <= 1 for hit in context.hits)
    assert [hit.score for hit in context.hits] == sorted((hit.score for hit in context.hits), reverse=True)


async def test_the_result_of_a_tool_alone_recalls_what_its_question_does(further_desk: Desk) -> None:
    await fallen_out(further_desk)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    calling = sessions.NewMessage(role="assistant", tool_calls=[call])
    await further_desk.told("s1", "calls", [sessions.NewMessage(role="user", content=QUESTION), calling])

    result = sessions.NewMessage(role="tool", tool_call_id="c", content="42")
    opened = await further_desk.turns.open("local", "s1", turns.OpenTurn(turn_id="results", messages=[result]))

    assert "Albatross" in recalled(opened.context)


@pytest.mark.parametrize("budget", [0, 1, 40, 100, 300, 4_000])
@pytest.mark.slow
async def test_window_and_hits_together_keep_to_the_budget(any_desk: Desk, budget: int) -> None:
    await fallen_out(any_desk)

    context = await ask(any_desk, budget=budget)

    assert context.tokens + context.hit_tokens <= budget
    assert (context.hit_tokens > 0) == bool(context.hits)


async def test_what_is_remembered_says_from_which_message(any_desk: Desk) -> None:
    await fallen_out(any_desk)
    said = {message.id for message in (await any_desk.sessions.read("local", "s1")).messages}

    told = await any_desk.remembering.items("local", "s1")

    assert told.items
    assert {item.message_id for item in told.items} <= said
    assert [item.at for item in told.items] == sorted((item.at for item in told.items), reverse=True)


async def test_recalling_adds_nothing_to_what_is_remembered(further_desk: Desk) -> None:
    await fallen_out(further_desk)
    before = await further_desk.remembering.items("local", "s1")
    for _ in range(3):
        await ask(further_desk)
    await further_desk.remembered()

    assert await further_desk.remembering.items("local", "s1") == before


async def test_what_is_forgotten_is_neither_recalled_nor_shown(any_desk: Desk) -> None:
    await fallen_out(any_desk)

    forgotten = await forget_all(any_desk)

    assert forgotten
    assert "Albatross" not in recalled(await ask(any_desk))
    assert (await any_desk.remembering.items("local", "s1")).items == []
    with pytest.raises(MemoryItemNotFound):
        await any_desk.remembering.forget("local", "s1", forgotten[0])


async def test_one_item_is_forgotten_and_the_others_stay(further_desk: Desk) -> None:
    await say(further_desk, FACT, "Remember that my cat is called Mog.")
    first, second = (await further_desk.remembering.items("local", "s1")).items[:2]

    await further_desk.remembering.forget("local", "s1", first.id)

    assert [item.id for item in (await further_desk.remembering.items("local", "s1")).items] == [second.id]


async def test_what_was_said_on_another_branch_is_not_known(further_desk: Desk) -> None:
    await talk(further_desk, 1)
    fork = sessions.Fork(name="side", select=False)
    await further_desk.branching.fork("local", "s1", fork)
    await say(further_desk, FACT)
    await talk(further_desk, WINDOW)

    on_main, on_side = await ask(further_desk), await ask(further_desk, branch="side")

    assert "Albatross" in recalled(on_main)
    assert on_side.hits == []
    await further_desk.branching.select("local", "s1", "side")
    assert FACT not in {item.text for item in (await further_desk.remembering.items("local", "s1")).items}


async def test_an_answer_that_was_asked_for_again_does_not_come_back(place: Store, clock: Clock) -> None:
    desk = desk_on(place, clock, "vdb")
    await say(desk, FACT)
    question = (await desk.sessions.read("local", "s1")).messages[0]
    await desk.branching.fork("local", "s1", sessions.Fork(at=question.id, name="again"))
    await talk(desk, WINDOW + 1)

    assert "Albatross" not in recalled(await ask(desk))


async def test_nobody_else_knows_it(any_desk: Desk) -> None:
    await fallen_out(any_desk, owner="alice")
    await talk(any_desk, 2 * WINDOW, owner="bob")
    await talk(any_desk, 2 * WINDOW, session_id="s2", owner="alice")

    others: list[dict[str, Any]] = [{"owner": "bob"}, {"owner": "alice", "session_id": "s2"}]
    for who in others:
        assert "Albatross" not in recalled(await ask(any_desk, **who))
    shown = await any_desk.remembering.items("bob", "s1")
    assert not any("Albatross" in item.text for item in shown.items)
    for call in (any_desk.remembering.items("mallory", "s1"), any_desk.remembering.forget("mallory", "s1", "x")):
        with pytest.raises(SessionNotFound):
            await call


@pytest.mark.parametrize("how", ["delete", "clear"])
async def test_nothing_is_left_of_a_session_that_is_gone(place: Store, clock: Clock, how: str) -> None:
    for backend in FURTHER:
        recollections = ListedRecollections()
        desk = desk_over(place, clock, max_dialogs=WINDOW, backend=backend, recollected=recollections)
        await say(desk, FACT, session_id=backend)
        await (desk.sessions.delete if how == "delete" else desk.sessions.clear)("local", backend)
        await talk(desk, WINDOW + 1, session_id=backend)

        assert "Albatross" not in recalled(await ask(desk, session_id=backend))
        assert all("Albatross" not in item.text for kept in recollections.kept.values() for item in kept.values())


async def test_deleting_tells_how_many_vectors_there_were(place: Store, clock: Clock) -> None:
    desk = desk_on(place, clock, "vdb")
    await talk(desk, 3)

    assert (await desk.sessions.delete("local", "s1")).removed["vectors"] == 3


async def test_a_turn_that_is_remembered_after_its_session_was_deleted_leaves_nothing(
    place: Store, clock: Clock
) -> None:
    recollections = ListedRecollections()
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await desk.told("s1", "1", [sessions.NewMessage(role="user", content=FACT)])
    await desk.sessions.delete("local", "s1")
    await desk.remembered()

    assert not any(recollections.kept.values())


async def test_a_session_may_choose_another_memory_than_the_usual_one(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, max_dialogs=20, backend="short_term")
    choice = sessions.MemoryChoice(backend="kv", max_dialogs=2, budget_tokens=500)
    session = await desk.sessions.create("local", sessions.NewSession(memory=choice))
    await say(desk, FACT, session_id=session.id)
    await talk(desk, 4, session_id=session.id)

    context = await ask(desk, session_id=session.id, budget=100_000)

    assert (context.backend, len(context.messages)) == ("kv", 4)
    assert context.tokens + context.hit_tokens <= 500
    assert "Albatross" in recalled(context)


async def test_facts_are_written_by_hand_and_replaced(place: Store, clock: Clock) -> None:
    for backend in ("kv", "graph"):
        desk = desk_on(place, clock, backend)
        await talk(desk, 1, session_id=backend)
        for value in ("Porto", "Lisbon"):
            clock.now += 1
            await desk.remembering.put("local", backend, wire.NewFacts(facts=[wire.NewFact(key="city", value=value)]))

        context = await ask(desk, "In which city do I live?", session_id=backend)
        shown = (await desk.remembering.items("local", backend)).items

        assert [hit.text for hit in context.hits] == ["user: city: Lisbon"]
        assert (shown[0].subject, shown[0].key, shown[0].value, shown[0].message_id) == ("user", "city", "Lisbon", None)
        assert [item.value for item in shown] == (["Lisbon"] if backend == "kv" else ["Lisbon", "Porto"])


async def test_what_begins_alike_is_not_one_fact(place: Store, clock: Clock) -> None:
    desk = desk_on(place, clock, "kv")
    begun = "On our trip to the mountains of northern Italy in the summer we"
    await say(desk, f"Remember that {begun} saw a bear.", f"Remember that {begun} ate plums.")
    await say(desk, "Remember that my boat is red and my car is blue.", "Remember that my boat is green.")

    kept = [str(item.value) for item in (await desk.remembering.items("local", "s1")).items]

    assert sorted(kept) == [f"{begun} ate plums", f"{begun} saw a bear", "blue", "green"]


async def test_a_sentence_of_several_relations_is_told_once(place: Store, clock: Clock) -> None:
    desk = desk_on(place, clock, "graph")
    await say(desk, "My sister Ingrid is a carpenter.")
    await talk(desk, WINDOW)

    context = await ask(desk, "What is the job of my sister Ingrid?")

    assert len((await desk.remembering.items("local", "s1")).items) == 2
    assert [hit.text for hit in context.hits] == ["My sister Ingrid is a carpenter"]


async def test_of_what_is_written_at_once_the_last_holds_and_the_answer_says_so(place: Store, clock: Clock) -> None:
    desk = desk_on(place, clock, "graph")
    await talk(desk, 1)
    facts = [wire.NewFact(key="city", value=value) for value in ("Porto", "Lisbon", "Porto")]

    told = (await desk.remembering.put("local", "s1", wire.NewFacts(facts=facts))).facts

    assert [(fact.value, fact.closed_at is UNSET) for fact in told] == [("Lisbon", False), ("Porto", True)]
    assert (await desk.remembering.items("local", "s1")).items == told[::-1]


@pytest.mark.parametrize("backend", ["short_term", "vdb"])
async def test_a_memory_without_facts_says_which_have_them(place: Store, clock: Clock, backend: Backend) -> None:
    desk = desk_on(place, clock, backend)
    await talk(desk, 1)

    with pytest.raises(InvalidRequest, match="kv or graph"):
        await desk.remembering.put("local", "s1", wire.NewFacts(facts=[wire.NewFact(key="city", value="Porto")]))


async def test_how_much_is_remembered_is_told_by_session(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, max_dialogs=4, backend="vdb")
    await talk(desk, 3)
    chosen = sessions.NewSession(memory=sessions.MemoryChoice(backend="short_term", max_dialogs=2))
    other = await desk.sessions.create("local", chosen)

    told = (await desk.remembering.stats("local")).sessions

    assert told["s1"] == wire.MemoryUse(backend="vdb", dialog_count=3, max_dialogs=4, usage_percent=75.0, items=3)
    assert told[other.id] == wire.MemoryUse(backend="short_term", dialog_count=0, max_dialogs=2, usage_percent=0.0)


async def test_without_the_rag_indexer_the_window_is_told_and_turns_wait(place: Store, clock: Clock) -> None:
    recollections = ListedRecollections(away=True)
    desk = desk_over(place, clock, max_dialogs=WINDOW, backend="vdb", recollected=recollections)
    await say(desk, FACT)
    await talk(desk, WINDOW)

    without = await ask(desk)
    notice = (await desk.remembering.items("local", "s1")).notice
    recollections.away = False
    vectors = desk.memories.usual
    assert isinstance(vectors, Vectors)
    await vectors.store_owed()
    with_it = await ask(desk)

    assert (len(without.messages), without.hits) == (2 * WINDOW, [])
    assert "cannot be searched now" in str(notice)
    assert desk.tally.works["recall failed"] == 1
    assert "Albatross" in recalled(with_it)
    assert not (await desk.remembering.items("local", "s1")).notice


async def test_vectors_that_cannot_be_erased_now_are_so_later(place: Store, clock: Clock) -> None:
    recollections = ListedRecollections()
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await say(desk, FACT)
    recollections.away = True
    deleted = await desk.sessions.delete("local", "s1")
    recollections.away = False
    await desk.erasing.sweep()

    assert "vectors" not in deleted.removed
    assert not any(recollections.kept.values())


async def test_deleting_a_session_that_was_never_there_by_meaning_asks_nobody(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, backend="kv", recollected=ListedRecollections(away=True))
    await say(desk, FACT)

    assert (await desk.sessions.delete("local", "s1")).removed["vectors"] == 0


@pytest.mark.parametrize("backend", FURTHER)
async def test_the_window_makes_no_room_for_what_is_not_there(place: Store, clock: Clock, backend: Backend) -> None:
    """All dialogs fit the budget; what has nothing to say takes none of it."""
    desk = desk_over(place, clock, max_dialogs=50, backend=backend)
    await say(desk, FACT)
    await talk(desk, 9)
    whole = await ask(desk, "zzz", budget=10_000)

    assert (await ask(desk, "zzz", budget=whole.tokens)).dropped == 0


@pytest.mark.parametrize("backend", FURTHER)
@pytest.mark.slow
async def test_a_window_that_fills_the_budget_makes_room_for_what_bears(
    place: Store, clock: Clock, backend: Backend
) -> None:
    desk = desk_over(place, clock, max_dialogs=50, backend=backend)
    await say(desk, FACT)
    await talk(desk, 25)

    contexts = {budget: await ask(desk, budget=budget) for budget in range(100, 300, 10)}

    assert {
        budget: context for budget, context in contexts.items() if context.tokens + context.hit_tokens > budget
    } == {}
    assert all("Albatross" in recalled(context) for budget, context in contexts.items() if budget >= 150)


class DeletingMeanwhile(ListedRecollections):
    """While it takes the turn in, somebody deletes the session."""

    desk: Desk

    async def remember(self, key: SessionKey, items: Sequence[Recollection]) -> None:
        await self.desk.sessions.delete(key.owner, key.session_id)
        await super().remember(key, items)


async def test_a_session_deleted_while_its_turn_is_taken_in_leaves_nothing(place: Store, clock: Clock) -> None:
    recollections = DeletingMeanwhile()
    desk = recollections.desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await say(desk, FACT)

    assert not any(recollections.kept.values())


@pytest.mark.parametrize("backend", FURTHER)
async def test_a_turn_whose_commit_was_never_answered_is_remembered_by_its_repeat(
    place: Store, clock: Clock, backend: Backend
) -> None:
    died, desk = desk_on(place, clock, backend), desk_on(place, clock, backend)
    opened = await desk.turns.open("local", "s1", turns.OpenTurn(turn_id="1"))
    commit = turns.CommitTurn(turn_id="1", token=opened.token, branch="main", messages=exchange(FACT))
    await died.turns.commit("local", "s1", commit)

    again = await desk.turns.commit("local", "s1", commit)
    await desk.remembered()

    session = await desk.sessions.read("local", "s1")
    items = (await desk.remembering.items("local", "s1")).items
    assert again.repeated
    assert {item.message_id for item in items} == {session.messages[0].id}


async def test_a_repeat_of_what_was_cleared_is_not_remembered(place: Store, clock: Clock) -> None:
    desk = desk_on(place, clock, "kv")
    opened = await desk.turns.open("local", "s1", turns.OpenTurn(turn_id="1"))
    commit = turns.CommitTurn(turn_id="1", token=opened.token, branch="main", messages=exchange(FACT))
    await desk.turns.commit("local", "s1", commit)
    await desk.sessions.clear("local", "s1")
    await desk.turns.commit("local", "s1", commit)
    await desk.remembered()

    assert (await desk.remembering.items("local", "s1")).items == []


@pytest.mark.parametrize("backend", FURTHER)
@pytest.mark.parametrize("how", ["delete", "clear"])
async def test_what_is_remembered_late_is_not_known_to_the_session_that_came_after(
    place: Store, clock: Clock, backend: Backend, how: str
) -> None:
    desk = desk_on(place, clock, backend)
    await desk.told("s1", "1", exchange(FACT))
    await (desk.sessions.delete if how == "delete" else desk.sessions.clear)("local", "s1")
    clock.now += 1
    await desk.told("s1", "2", exchange("Hello there!"))
    await desk.remembered()

    items = (await desk.remembering.items("local", "s1")).items
    assert not any("Albatross" in item.text for item in items)


@pytest.mark.parametrize("backend", ["kv", "graph"])
async def test_what_is_written_into_a_session_that_goes_at_that_moment_is_not_said_to_be_stored(
    place: Store, clock: Clock, backend: Backend
) -> None:
    memory = desk_over(place, clock, backend=backend).memories.usual

    with pytest.raises(SessionNotFound):
        await memory.put(SessionKey("local", "gone"), [wire.NewFact(key="city", value="Porto")])


@pytest.mark.parametrize("backend", ["kv", "graph"])
async def test_others_go_on_while_a_turn_of_many_messages_is_read(place: Store, clock: Clock, backend: Backend) -> None:
    desk = desk_on(place, clock, backend)
    await desk.told("s1", "1", [said("user", "A long walk.") for _ in range(50)])
    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0)
            rounds += 1

    going_on = asyncio.create_task(others())
    await desk.remembered()
    going_on.cancel()

    assert rounds >= 40
