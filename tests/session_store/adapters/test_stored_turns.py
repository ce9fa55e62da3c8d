"""The promises of StoredTurns, kept by every adapter."""

from typing import Any

import pytest

from sage_contracts.sessions import Message, NewMessage
from session_store.domain.branches import NewBranch, over
from session_store.domain.openings import Answered, Busy, Held, Opened, Opening, Refused, Stored
from session_store.domain.ranges import Range
from session_store.domain.records import MICROS, NewTurn, SessionKey, Totals
from session_store.domain.stamping import stamped, unanswered
from tests.session_store.parts import NOON, Store, exchange, key, said, texts

NOW = NOON * MICROS
LEASE = 15 * MICROS


def ids(name: str) -> Any:
    numbers = iter(range(1_000_000))
    return lambda: f"{name}-{next(numbers)}"


def opening(turn_id: str, question: str = "q", now_us: int = NOW, **fields: Any) -> Opening:
    asked: list[NewMessage] = [said("user", question)]
    return Opening(
        turn_id=turn_id,
        opener=fields.pop("opener", f"opener-of-{turn_id}"),
        messages=unanswered(asked, ids=ids(f"asked-{turn_id}"), now_us=now_us),
        now_us=now_us,
        lease_us=LEASE,
        newest=10,
        auto_title=question,
        **fields,
    )


def answered(turn_id: str, question: str = "q", answer: str = "a", now_us: int = NOW, **metadata: Any) -> NewTurn:
    messages = [said("user", question), said("assistant", answer, metadata=metadata)]
    return stamped(turn_id, messages, ids=ids(f"turn-{turn_id}"), now_us=now_us)


async def opened(store: Store, asked: Opening, session: SessionKey | None = None) -> Opened:
    found = await store.turns.open(session or key(), asked)
    assert isinstance(found, Opened), found
    return found


async def told(store: Store, turn_id: str, question: str = "q", answer: str = "a", **fields: Any) -> Stored:
    """A whole turn."""
    metadata = fields.pop("metadata", {})
    now_us = fields.get("now_us", NOW)
    begun = await opened(store, opening(turn_id, question, **fields))
    held = Held(turn_id, begun.token, begun.window.branch)
    stored = await store.turns.commit(key(), held, answered(turn_id, question, answer, now_us, **metadata))
    assert isinstance(stored, Stored)
    return stored


async def contents(store: Store) -> list[object]:
    found = await store.sessions.read(key())
    assert found is not None
    return texts(found.messages)


async def test_a_turn_is_told_what_was_said_before_it(place: Store) -> None:
    await told(place, "1", "one", "eins")
    begun = await opened(place, opening("2", "two"))

    window = begun.window

    assert (texts(window.tail), window.total, window.branch, window.ranges) == (
        ["one", "eins"],
        2,
        "main",
        (Range(0, 2),),
    )
    assert window.positions == [0, 1]
    assert await contents(place) == ["one", "eins"]


async def test_what_a_turn_adds_stands_behind_what_was_there(place: Store) -> None:
    first = await told(place, "1", "one", "eins")
    second = await told(place, "2", "two", "zwei")

    assert (first.first, first.message_count, second.first, second.message_count) == (0, 2, 2, 4)
    assert await contents(place) == ["one", "eins", "two", "zwei"]
    assert await place.sessions.totals("local") == Totals(1, 4)


async def test_a_commit_sent_again_is_stored_once(place: Store) -> None:
    begun = await opened(place, opening("1"))
    held = Held("1", begun.token, "main")

    first = await place.turns.commit(key(), held, answered("1"))
    again = await place.turns.commit(key(), held, answered("1"))

    assert isinstance(first, Stored)
    assert isinstance(again, Stored)
    assert (first.repeated, again.repeated, again.message_count, again.first) == (False, True, 2, 0)
    assert await place.sessions.totals("local") == Totals(1, 2)


async def test_while_a_turn_is_under_way_others_wait_in_line(place: Store) -> None:
    begun = await opened(place, opening("1"))
    second = await place.turns.open(key(), opening("2"))
    third = await place.turns.open(key(), opening("3"))

    assert second == Busy("main", "1", NOW, 0, is_itself=False)
    assert third == Busy("main", "1", NOW, 1, is_itself=False)

    await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1"))
    assert await place.turns.open(key(), opening("3")) == Busy("main", "", 0, 1, is_itself=False)
    assert await place.turns.open(key(), opening("4")) == Busy("main", "", 0, 2, is_itself=False)
    assert texts((await opened(place, opening("2"))).window.tail) == ["q", "a"]


async def test_who_leaves_the_line_keeps_nobody_waiting(place: Store) -> None:
    begun = await opened(place, opening("1"))
    for turn_id in "23":
        await place.turns.open(key(), opening(turn_id))
    await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1"))

    await place.turns.leave(key(), opening("2"), "main")

    assert isinstance(await place.turns.open(key(), opening("3")), Opened)


async def test_who_waits_for_the_head_goes_with_it_and_leaves_its_place(place: Store) -> None:
    await told(place, "0")
    begun = await opened(place, opening("1"))
    for turn_id in "23":
        await place.turns.open(key(), opening(turn_id))
    whole = await place.sessions.whole(key())
    assert whole is not None
    main = whole.branches["main"]
    fork = NewBranch(state=over(whole, main.ranges, main), of=whole, now_us=NOW, name="f", select=True)
    await place.sessions.fork(key(), fork)
    await opened(place, opening("4"))
    moved = await place.turns.open(key(), opening("2"))
    await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1"))

    assert moved == Busy("f", "4", NOW, 0, is_itself=False)
    assert isinstance(await place.turns.open(key(), opening("3", branch="main")), Opened)


async def test_a_waiter_that_is_not_seen_again_keeps_nobody_waiting(place: Store) -> None:
    begun = await opened(place, opening("1"))
    for turn_id in "23":
        await place.turns.open(key(), opening(turn_id))
    await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1"))

    assert isinstance(await place.turns.open(key(), opening("3", now_us=NOW + 4 * MICROS)), Opened)


async def test_a_refusal_says_who_is_under_way_and_keeps_no_place(place: Store) -> None:
    begun = await opened(place, opening("1"))

    refused = await place.turns.open(key(), opening("2", on_conflict="reject", now_us=NOW + 5))
    await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1"))

    assert refused == Busy("main", "1", NOW, 0, is_itself=False)
    assert isinstance(await place.turns.open(key(), opening("3")), Opened)


async def test_a_fork_goes_on_from_where_the_branch_stood(place: Store) -> None:
    await told(place, "1", "one", "eins")
    first = await opened(place, opening("2", "two"))
    other = await opened(place, opening("3", "three", on_conflict="fork"))

    assert (other.window.branch, texts(other.window.tail)) == ("fork-1", ["one", "eins"])
    await place.turns.commit(key(), Held("3", other.token, "fork-1"), answered("3", "three", "drei"))
    await place.turns.commit(key(), Held("2", first.token, "main"), answered("2", "two", "zwei"))
    assert await contents(place) == ["one", "eins", "two", "zwei"]
    fork = await place.turns.window(key(), newest=10, branch="fork-1")
    assert (texts(fork.tail), fork.ranges) == (["one", "eins", "three", "drei"], (Range(0, 4),))
    main = await place.turns.window(key(), newest=3)
    assert (texts(main.tail), main.positions, main.ranges) == (
        ["eins", "two", "zwei"],
        [1, 4, 5],
        (Range(0, 2), Range(4, 6)),
    )


async def test_a_turn_that_took_too_long_gives_way_and_is_lost(place: Store) -> None:
    slow = await opened(place, opening("1", "slow"))
    later = NOW + LEASE + 1
    quick = await opened(place, opening("2", "quick", now_us=later))

    assert texts(quick.window.tail) == ["slow"]
    assert quick.window.tail[0].metadata == {"status": "unanswered"}
    assert (quick.window.total, quick.window.instructions) == (1, 1)
    assert await place.turns.commit(key(), Held("1", slow.token, "main"), answered("1")) == "lost"
    assert await place.turns.renew(key(), Held("1", slow.token, "main"), until_us=later) == "lost"
    await place.turns.commit(key(), Held("2", quick.token, "main"), answered("2", "quick", "schnell"))
    assert await place.turns.commit(key(), Held("1", slow.token, "main"), answered("1")) == "lost"
    assert await contents(place) == ["slow", "quick", "schnell"]
    found = await place.sessions.read(key())
    assert found is not None
    assert (found.record.dialog_count, found.record.auto_title) == (1, "slow")


async def test_a_turn_that_took_too_long_is_stored_when_nobody_came(place: Store) -> None:
    begun = await opened(place, opening("1"))

    stored = await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1", now_us=NOW + 9 * LEASE))

    assert isinstance(stored, Stored)


async def test_a_renewed_turn_is_held(place: Store) -> None:
    begun = await opened(place, opening("1"))
    later = NOW + LEASE + 1

    told_of = await place.turns.renew(key(), Held("1", begun.token, "main"), until_us=later + 1)

    assert told_of == "renewed"
    assert isinstance(await place.turns.open(key(), opening("2", now_us=later)), Busy)
    assert isinstance(await place.turns.open(key(), opening("2", now_us=later + 1)), Opened)


async def test_another_token_or_branch_or_id_is_lost(place: Store) -> None:
    begun = await opened(place, opening("1"))

    for held in (Held("1", begun.token + 1, "main"), Held("1", begun.token, "other"), Held("2", begun.token, "main")):
        assert await place.turns.commit(key(), held, answered(held.turn_id)) == "lost"
        assert await place.turns.renew(key(), held, until_us=NOW) == "lost"
        assert not await place.turns.abandon(key(), held)
    assert await contents(place) == []


async def test_a_session_is_not_idle_while_one_of_its_turns_is_under_way(place: Store) -> None:
    await told(place, "0")
    await place.sessions.create(key("idle"), title="", now_us=NOW)
    begun = await opened(place, opening("1"))
    later, held = NOW + LEASE + 1, Held("1", begun.token, "main")
    await place.turns.renew(key(), held, until_us=later + LEASE)

    assert await place.sessions.remove_idle("local", until_us=later, now_us=later) == 1
    assert isinstance(await place.turns.commit(key(), held, answered("1")), Stored)
    assert await place.sessions.remove_idle("local", until_us=later, now_us=later) == 1


async def test_an_abandoned_turn_leaves_nothing(place: Store) -> None:
    await told(place, "1", "one", "eins")
    begun = await opened(place, opening("2"))

    assert await place.turns.abandon(key(), Held("2", begun.token, "main"))

    assert not await place.turns.abandon(key(), Held("2", begun.token, "main"))
    assert await place.turns.commit(key(), Held("2", begun.token, "main"), answered("2")) == "lost"
    assert await contents(place) == ["one", "eins"]
    assert isinstance(await place.turns.open(key(), opening("3")), Opened)


async def test_a_session_that_began_with_an_abandoned_turn_is_gone(place: Store) -> None:
    begun = await opened(place, opening("1"))

    assert await place.turns.abandon(key(), Held("1", begun.token, "main"))

    assert await place.sessions.read(key()) is None
    assert await place.sessions.totals("local") == Totals(0, 0)
    assert await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1")) == "missing"


async def test_a_session_that_was_made_stays_when_its_first_turn_is_abandoned(place: Store) -> None:
    await place.sessions.create(key(), title="", now_us=NOW)
    begun = await opened(place, opening("1"))
    await place.turns.abandon(key(), Held("1", begun.token, "main"))

    assert await contents(place) == []


async def test_a_fork_that_began_with_an_abandoned_turn_is_gone(place: Store) -> None:
    await opened(place, opening("1"))
    other = await opened(place, opening("2", on_conflict="fork"))
    await place.turns.abandon(key(), Held("2", other.token, other.window.branch))

    assert await place.turns.open(key(), opening("3", branch=other.window.branch)) == Refused("no_branch")


async def test_a_turn_of_a_deleted_session_is_not_stored(place: Store) -> None:
    begun = await opened(place, opening("1"))
    await place.sessions.delete(key())

    held = Held("1", begun.token, "main")
    assert await place.turns.commit(key(), held, answered("1")) == "missing"
    assert await place.turns.renew(key(), held, until_us=NOW) == "missing"
    assert await place.sessions.read(key()) is None


async def test_a_turn_of_a_cleared_session_is_lost(place: Store) -> None:
    begun = await opened(place, opening("1"))
    await place.sessions.clear(key(), now_us=NOW)

    assert await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1")) == "lost"
    assert isinstance(await place.turns.open(key(), opening("2")), Opened)


async def test_a_turn_sent_again_with_its_key_is_answered_as_before(place: Store) -> None:
    await told(place, "1", "one", "eins", digest="d")
    await told(place, "2", "two", "zwei")

    again = await place.turns.open(key(), opening("1", "one", digest="d"))
    other = await place.turns.open(key(), opening("1", "another", digest="e"))

    assert isinstance(again, Answered)
    assert (texts(again.messages), again.branch) == (["one", "eins"], "main")
    assert other == Refused("reused")


async def test_a_turn_sent_again_while_it_is_under_way_waits_for_itself(place: Store) -> None:
    begun = await opened(place, opening("1", digest="d"))

    again = await place.turns.open(key(), opening("1", digest="d", opener="another", on_conflict="reject"))
    other = await place.turns.open(key(), opening("1", digest="e", opener="another"))
    await place.turns.commit(key(), Held("1", begun.token, "main"), answered("1"))

    assert again == Busy("main", "1", NOW, 0, is_itself=True)
    assert other == Refused("reused")
    assert isinstance(await place.turns.open(key(), opening("1", digest="d", opener="another")), Answered)


async def test_a_turn_opened_again_by_its_own_gateway_gets_a_new_token(place: Store) -> None:
    """One without a key: who opens it again had no answer."""
    first = await opened(place, opening("1"))
    again = await opened(place, opening("1", opener="again"))

    assert await place.turns.commit(key(), Held("1", first.token, "main"), answered("1")) == "lost"
    assert isinstance(await place.turns.commit(key(), Held("1", again.token, "main"), answered("1")), Stored)


async def test_a_turn_with_a_key_whose_gateway_died_is_opened_anew(place: Store) -> None:
    await opened(place, opening("1", digest="d"))
    again = await opened(place, opening("1", digest="d", opener="again", now_us=NOW + LEASE))

    assert (again.window.total, await contents(place)) == (0, [])


@pytest.mark.parametrize("how", ["interrupted", "unanswered"])
async def test_a_turn_cut_short_is_taken_back_when_it_is_sent_again(place: Store, how: str) -> None:
    await told(place, "1", "one", "eins")
    if how == "interrupted":
        await told(place, "2", "two", "zw", digest="d", metadata={"finish_reason": "interrupted"})
    else:
        await opened(place, opening("2", "two", digest="d"))
        later = await opened(place, opening("3", now_us=NOW + LEASE))
        await place.turns.abandon(key(), Held("3", later.token, "main"))
    cut = await contents(place)

    again = await opened(place, opening("2", "two", digest="d", now_us=NOW + LEASE))

    assert cut[:3] == ["one", "eins", "two"]
    assert texts(again.window.tail) == ["one", "eins"]
    assert await contents(place) == ["one", "eins"]
    assert await place.sessions.totals("local") == Totals(1, 2)
    stored = await place.turns.commit(key(), Held("2", again.token, "main"), answered("2", "two", "zwei"))
    assert isinstance(stored, Stored)
    assert (stored.message_count, await contents(place)) == (4, ["one", "eins", "two", "zwei"])


@pytest.mark.parametrize("how", ["interrupted", "unanswered"])
@pytest.mark.parametrize("again", ["abandoned", "lapsed"])
async def test_a_turn_cut_short_stays_as_it_was_when_it_is_not_answered_again_either(
    place: Store, how: str, again: str
) -> None:
    await told(place, "1", "one", "eins")
    if how == "interrupted":
        await told(place, "2", "two", "zw", digest="d", metadata={"finish_reason": "interrupted"})
    else:
        await opened(place, opening("2", "two", digest="d"))
        later = await opened(place, opening("3", now_us=NOW + LEASE))
        await place.turns.abandon(key(), Held("3", later.token, "main"))
    cut, at = await contents(place), NOW + LEASE
    for _ in range(2):
        begun = await opened(place, opening("2", "two", digest="d", opener=f"at {at}", now_us=at))
        if again == "abandoned":
            await place.turns.abandon(key(), Held("2", begun.token, "main"))
        at += LEASE
    other = await opened(place, opening("4", "four", now_us=at))
    await place.turns.abandon(key(), Held("4", other.token, "main"))

    assert texts(other.window.tail) == await contents(place) == cut
    assert await place.sessions.totals("local") == Totals(1, len(cut))
    begun = await opened(place, opening("2", "two", digest="d", now_us=at))
    assert texts(begun.window.tail) == ["one", "eins"]
    await place.turns.commit(key(), Held("2", begun.token, "main"), answered("2", "two", "zwei"))
    assert await contents(place) == ["one", "eins", "two", "zwei"]


@pytest.mark.parametrize("again", ["abandoned", "lapsed"])
async def test_a_turn_cut_short_stays_when_what_nobody_answered_is_kept_behind_it(place: Store, again: str) -> None:
    await told(place, "1", "one", "eins")
    await told(place, "2", "two", "zw", digest="d", metadata={"finish_reason": "interrupted"})
    await opened(place, opening("3", "three"))
    begun = await opened(place, opening("2", "two", digest="d", opener="again", now_us=NOW + LEASE))
    assert texts(begun.window.tail) == ["one", "eins", "three"]
    if again == "abandoned":
        await place.turns.abandon(key(), Held("2", begun.token, "main"))
    other = await opened(place, opening("4", now_us=NOW + 2 * LEASE))
    await place.turns.abandon(key(), Held("4", other.token, "main"))

    assert texts(other.window.tail) == await contents(place) == ["one", "eins", "two", "zw", "three"]
    assert (other.window.total, other.window.instructions) == (5, 1)
    assert await place.sessions.totals("local") == Totals(1, 5)
    begun = await opened(place, opening("2", "two", digest="d", now_us=NOW + 2 * LEASE))
    assert texts(begun.window.tail) == ["one", "eins", "three"]
    await place.turns.commit(key(), Held("2", begun.token, "main"), answered("2", "two", "zwei"))
    assert await contents(place) == ["one", "eins", "three", "two", "zwei"]


async def test_what_nobody_answered_is_not_taken_back_from_before_a_turn_cut_short(place: Store) -> None:
    await told(place, "1", "one", "eins")
    await told(place, "2", "two", "zw", digest="d", metadata={"finish_reason": "interrupted"})
    await opened(place, opening("3", "three", digest="e"))
    await opened(place, opening("2", "two", digest="d", opener="again", now_us=NOW + LEASE))
    waits = await place.turns.open(key(), opening("3", "three", digest="e", opener="again", now_us=NOW + LEASE + 1))
    moved = await place.turns.open(key(), opening("3", "three", digest="e", opener="again", now_us=NOW + 2 * LEASE))
    await opened(place, opening("4", "four", now_us=NOW + 2 * LEASE))

    assert isinstance(waits, Busy)
    assert moved == Refused("moved")
    assert await contents(place) == ["one", "eins", "two", "zw", "three"]


async def test_an_answer_that_comes_after_its_turn_was_put_back_cut_short_is_lost(place: Store) -> None:
    await told(place, "1", "one", "ei", digest="d", metadata={"finish_reason": "interrupted"})
    again = await opened(place, opening("1", "one", digest="d", opener="again"))
    await opened(place, opening("2", "two", now_us=NOW + LEASE))
    held = Held("1", again.token, "main")

    late = await place.turns.commit(key(), held, answered("1", "one", "eins"))
    cut = await place.turns.commit(key(), held, answered("1", "one", "ei", finish_reason="interrupted"))

    assert late == "lost"
    assert isinstance(cut, Stored)
    assert (cut.repeated, await contents(place)) == (True, ["one", "ei"])


async def test_an_opening_repeated_by_its_own_opener_is_that_turn(place: Store) -> None:
    """As a client of Redis repeats a command whose answer was lost."""
    await opened(place, opening("1", digest="d"))
    again = await opened(place, opening("1", digest="d"))

    assert isinstance(await place.turns.commit(key(), Held("1", again.token, "main"), answered("1")), Stored)


@pytest.mark.parametrize("name", ["t:x", "t", "x:lease"])
async def test_a_branch_may_have_any_name_while_a_turn_is_under_way_on_it(place: Store, name: str) -> None:
    await told(place, "1", "one", "eins")
    whole = await place.sessions.whole(key())
    assert whole is not None
    main = whole.branches["main"]
    await place.sessions.fork(key(), NewBranch(state=over(whole, main.ranges, main), of=whole, now_us=NOW, name=name))
    begun = await opened(place, opening("2", "two", branch=name))

    found = await place.sessions.read(key(), name)

    assert found is not None
    assert [(one.branch, one.turn_id) for one in found.under_way] == [(name, "2")]
    assert await place.turns.abandon(key(), Held("2", begun.token, name))


async def test_a_turn_cut_short_that_was_gone_on_from_is_not_taken_back(place: Store) -> None:
    await told(place, "1", "one", "ei", digest="d", metadata={"finish_reason": "interrupted"})
    await told(place, "2", "two", "zwei")

    assert await place.turns.open(key(), opening("1", "one", digest="d")) == Refused("moved")


async def test_a_turn_that_was_cleared_is_not_answered_again(place: Store) -> None:
    await told(place, "1", digest="d")
    await place.sessions.clear(key(), now_us=NOW)

    assert await place.turns.open(key(), opening("1", digest="d")) == Refused("cleared")


async def test_a_branch_that_is_not_there_cannot_be_gone_on_from(place: Store) -> None:
    assert await place.turns.open(key(), opening("1", branch="other")) == Refused("no_branch")
    assert await place.sessions.read(key()) is None
    assert await place.sessions.totals("local") == Totals(0, 0)
    await told(place, "1")
    assert await place.turns.open(key(), opening("2", branch="other")) == Refused("no_branch")


async def test_instructions_of_a_turn_are_in_force_from_then_on(place: Store) -> None:
    begun = await opened(place, opening("1"))
    messages = [said("system", "be kind"), *exchange("one", "eins")]
    turn = stamped("1", messages, ids=ids("x"), now_us=NOW)
    await place.turns.commit(key(), Held("1", begun.token, "main"), turn)

    window = (await opened(place, opening("2"))).window

    assert (texts(window.fixed), window.instructions, window.total) == (["be kind"], 1, 3)


async def test_what_is_pending_comes_back_as_it_was(place: Store) -> None:
    message = said("user", 'quotes " and \\ and \n and 日本 and 🎉 and \x00', extra={"x": [1.5, None, 2**60]})
    pending: list[Message] = unanswered([message], ids=ids("m"), now_us=NOW)
    slow = Opening(turn_id="1", opener="o", messages=pending, now_us=NOW, lease_us=LEASE, newest=1)
    await opened(place, slow)

    window = (await opened(place, opening("2", now_us=NOW + LEASE))).window

    assert list(window.tail) == pending
