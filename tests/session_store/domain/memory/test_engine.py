"""What an engine adds to memory: summaries of what fell out, statements the rules cannot read; and what it may not break."""

import json

import pytest

from sage_contracts import turns
from sage_contracts.errors import ServiceUnavailable, UpstreamError
from sage_contracts.sessions import Backend, NewMessage
from session_store.domain.memory.extracting import extracted
from tests.session_store.domain.memory.parts import ScriptedScribe, ask, recalled, say, talk
from tests.session_store.parts import Clock, Desk, Store, desk_over, exchange, said

GOOD = json.dumps({"facts": [{"subject": "user", "key": "lives in", "value": "Lisbon", "single": True}]})
BAD = {
    "prose": "You live in Lisbon.",
    "another shape": '{"facts": {"user": "Lisbon"}}',
    "a missing field": '{"facts": [{"subject": "user", "key": "city"}]}',
    "an unknown field": '{"facts": [], "note": "hi"}',
    "a number": '{"facts": [{"subject": "user", "key": "age", "value": 7}]}',
    "an empty value": '{"facts": [{"subject": "user", "key": "age", "value": ""}]}',
    "too many": json.dumps({"facts": [{"subject": "a", "key": "b", "value": str(n)} for n in range(21)]}),
    "too long": json.dumps({"facts": [{"subject": "a", "key": "b", "value": "x" * 201}]}),
    "nothing": "",
    "cut off": GOOD[:-3],
}


@pytest.fixture
def scribe() -> ScriptedScribe:
    return ScriptedScribe()


def desk_of(place: Store, clock: Clock, scribe: ScriptedScribe, backend: Backend) -> Desk:
    return desk_over(place, clock, max_dialogs=3, backend=backend, scribe=scribe)


@pytest.mark.parametrize("answer", [GOOD, f"```json\n{GOOD}\n```", f"```\n{GOOD}\n```"])
async def test_statements_come_as_json(scribe: ScriptedScribe, answer: str) -> None:
    scribe.answers = [answer]

    (found,) = await extracted(scribe, "Lisbon has been my home for years")

    assert (found.subject, found.key, found.value, found.single) == ("user", "lives in", "Lisbon", True)


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD.keys())
async def test_an_answer_of_another_shape_is_refused(scribe: ScriptedScribe, answer: str) -> None:
    scribe.answers = [answer]

    with pytest.raises(UpstreamError):
        await extracted(scribe, "text")


@pytest.mark.parametrize("backend", ["kv", "graph"])
async def test_what_the_rules_cannot_read_the_engine_does(
    place: Store, clock: Clock, scribe: ScriptedScribe, backend: Backend
) -> None:
    scribe.answers = [GOOD]
    desk = desk_of(place, clock, scribe, backend)
    await say(desk, "Forever grateful to call Lisbon home")
    (item,) = (await desk.remembering.items("local", "s1")).items
    await talk(desk, 4)

    assert (item.value, item.message_id) == ("Lisbon", (await desk.sessions.read("local", "s1")).messages[0].id)
    assert "Lisbon" in recalled(await ask(desk, "In which city does the user live?"))
    assert scribe.asked[0][1] == "Forever grateful to call Lisbon home"


@pytest.mark.parametrize("backend", ["kv", "graph"])
async def test_an_engine_that_fails_leaves_what_the_rules_read(
    place: Store, clock: Clock, scribe: ScriptedScribe, backend: Backend
) -> None:
    scribe.answers = [ServiceUnavailable("away"), "nonsense"]
    desk = desk_of(place, clock, scribe, backend)
    await say(desk, "Remember that my boat is called Albatross.", "Hello")

    assert len((await desk.remembering.items("local", "s1")).items) == 1
    assert desk.tally.works["extract failed"] == 2
    assert desk.tally.works["remember done"] == 2


async def test_what_fell_out_is_summarised_with_the_range_it_covers(
    place: Store, clock: Clock, scribe: ScriptedScribe
) -> None:
    scribe.then = "  They spoke\nof boats. "
    desk = desk_of(place, clock, scribe, "short_term")
    await talk(desk, 8)
    await ask(desk)
    await talk(desk, 1)
    messages = (await desk.sessions.read("local", "s1")).messages

    summary = (await desk.remembering.items("local", "s1")).items[0]
    (hit,) = (await ask(desk)).hits

    assert (summary.kind, summary.text) == ("summary", "They spoke of boats.")
    assert (summary.first_message_id, summary.last_message_id) == (messages[0].id, messages[11].id)
    assert (hit.kind, hit.text) == ("summary", "They spoke of boats.")
    written = [[number for number in range(9) if f"part {number}" in asked] for _, asked in scribe.asked]
    assert written == [[0, 1, 2, 3], [4, 5]]


@pytest.mark.parametrize("max_dialogs", [1, 2, 3, 10])
async def test_what_is_no_longer_told_stands_in_the_summary_at_once(
    place: Store, clock: Clock, scribe: ScriptedScribe, max_dialogs: int
) -> None:
    scribe.then = "minutes"
    desk = desk_over(place, clock, max_dialogs=max_dialogs, backend="short_term", scribe=scribe)
    for number in range(max_dialogs + 8):
        context = await ask(desk)
        written = "".join(asked for _, asked in scribe.asked) if context.hits else ""
        told = str([message.content for message in context.messages])
        missed = [turn for turn in range(number) if f"turn {turn}." not in told + written]
        assert missed == []
        await say(desk, f"This is turn {number}.")

    assert len(scribe.asked) <= 8 // min(4, max(1, max_dialogs // 2)) + 1


async def test_a_dialog_that_goes_on_behind_a_tool_is_summarised_whole(
    place: Store, clock: Clock, scribe: ScriptedScribe
) -> None:
    desk = desk_over(place, clock, max_dialogs=1, backend="short_term", scribe=scribe)
    await say(desk, "How many boats are there?")
    for number in range(3):
        result = NewMessage(role="tool", tool_call_id="c1", content=f"The tool says {number}.")
        await desk.told("s1", f"result {number}", [result, said("assistant", "Let me see.")])
        await desk.remembered()
    await talk(desk, 2)

    written = "".join(asked for _, asked in scribe.asked)
    assert [number for number in range(3) if f"The tool says {number}." in written] == [0, 1, 2]


async def test_of_what_is_too_long_for_one_summary_each_message_is_read_in_part(
    place: Store, clock: Clock, scribe: ScriptedScribe
) -> None:
    desk = desk_over(place, clock, max_dialogs=4, backend="short_term", scribe=scribe)
    await say(desk, *(f"Part {number}. {'So be it. ' * 900}" for number in range(5)))
    asked = scribe.asked[0][1]

    assert [number for number in range(5) if f"user: Part {number}." in asked] == [0, 1, 2]
    assert asked.count("assistant: I see.") == 3
    assert len(asked) < 12_500


async def test_what_falls_out_of_a_long_window_is_summarised(
    place: Store, clock: Clock, scribe: ScriptedScribe
) -> None:
    desk = desk_over(place, clock, max_dialogs=210, budget_tokens=100_000, backend="short_term", scribe=scribe)
    await desk.told("s1", "1", [one for number in range(220) for one in exchange(f"part {number}.")])
    await say(desk, "Go on.")

    (summary,) = (await desk.remembering.items("local", "s1")).items
    messages = (await desk.sessions.read("local", "s1")).messages
    assert (summary.first_message_id, summary.last_message_id) == (messages[0].id, messages[27].id)


async def test_a_turn_that_another_replica_opened_is_summarised(
    place: Store, clock: Clock, scribe: ScriptedScribe
) -> None:
    opener, committer = (desk_of(place, clock, scribe, "short_term") for _ in range(2))
    for number in range(8):
        name = f"t{number}"
        opened = await opener.turns.open("local", "s1", turns.OpenTurn(turn_id=name, messages=[said("user")]))
        commit = turns.CommitTurn(
            turn_id=name,
            token=opened.token,
            branch=opened.branch,
            messages=exchange(f"part {number}"),
            begins=opened.context.begins,
        )
        await committer.turns.commit("local", "s1", commit)
    await committer.remembered()

    assert [item.kind for item in (await opener.remembering.items("local", "s1")).items] == ["summary"] * 2
    assert ("part 3" in scribe.asked[0][1], "part 4" in scribe.asked[0][1]) == (True, False)


async def test_the_next_summary_takes_the_one_before_it_in(place: Store, clock: Clock, scribe: ScriptedScribe) -> None:
    scribe.answers = ["first minutes", "second minutes"]
    desk = desk_of(place, clock, scribe, "short_term")
    await talk(desk, 8)
    messages = (await desk.sessions.read("local", "s1")).messages

    told = (await ask(desk)).hits
    newest = (await desk.remembering.items("local", "s1")).items[0]

    assert "first minutes" in scribe.asked[1][1]
    assert [hit.text for hit in told] == ["second minutes"]
    assert newest.first_message_id == messages[0].id


async def test_an_engine_that_writes_no_summary_leaves_the_window(
    place: Store, clock: Clock, scribe: ScriptedScribe
) -> None:
    scribe.answers, scribe.then = [ServiceUnavailable("away")], "   "
    desk = desk_of(place, clock, scribe, "short_term")
    for _ in range(2):
        await talk(desk, 8)
        await ask(desk)
        await talk(desk, 1)

    context = await ask(desk)

    assert (len(context.messages), context.hits) == (6, [])
    assert desk.tally.works["summarise failed"] == 1


async def test_without_an_engine_nothing_is_asked_of_one(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, max_dialogs=3)
    await talk(desk, 8)
    await ask(desk)
    await talk(desk, 1)

    assert (await desk.remembering.items("local", "s1")).items == []
    assert desk.tally.works == {}
