"""What a session may be, over both adapters."""

import pytest

from sage_contracts import sessions as wire
from sage_contracts.errors import InvalidRequest, SessionNotFound
from sage_contracts.turns import MESSAGES_A_TURN
from session_store.domain.records import Place, cursor_of, place_of
from session_store.domain.sessions import EXPIRED_AT_ONCE, SEARCHED_AT_MOST
from tests.session_store.parts import Clock, Desk, Store, desk_over, exchange, said


async def commit(desk: Desk, session_id: str, turn_id: str = "1", question: str = "why?") -> None:
    await desk.told(session_id, turn_id, exchange(question))


async def page(desk: Desk, limit: int = 100, after: str | None = None, q: str | None = None) -> wire.Listed:
    return await desk.sessions.page("local", wire.ListQuery(limit=limit, after=after, q=q))


async def test_a_session_is_titled_by_its_first_question(desk: Desk) -> None:
    created = await desk.sessions.create("local", wire.NewSession())
    await commit(desk, created.id, question="How do engines come and go?")

    assert created.metadata["title"] == "New chat"
    assert (await desk.sessions.read("local", created.id)).metadata["title"] == "How do engines come and go?"


async def test_a_given_title_stays(desk: Desk) -> None:
    created = await desk.sessions.create("local", wire.NewSession(title=" My \n chat "))
    await commit(desk, created.id)

    assert (await desk.sessions.read("local", created.id)).metadata["title"] == "My chat"


async def test_messages_have_ids_of_their_own_and_the_turns_time(desk: Desk, clock: Clock) -> None:
    await commit(desk, "s1")
    clock.now += 60
    await commit(desk, "s1", "2")

    messages = (await desk.sessions.read("local", "s1")).messages

    assert len({message.id for message in messages}) == 4
    assert [message.timestamp.timestamp() - clock.now for message in messages] == [-60, -60, 0, 0]


async def test_a_turn_too_long_is_refused_and_counted(desk: Desk) -> None:
    too_many = [said("user")] * (MESSAGES_A_TURN + 1)

    with pytest.raises(InvalidRequest, match="at most"):
        await desk.told("s1", "1", too_many)

    assert desk.tally.turns == {"opened": 1, "refused": 1}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "x" * 129, "ü", "cleanup", "a\n"])
async def test_a_name_that_may_not_be_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await commit(desk, name)

    assert caught.value.param == "session_id"


async def test_what_became_of_turns_is_counted(desk: Desk) -> None:
    await commit(desk, "s1")
    await commit(desk, "s1")
    await desk.sessions.delete("local", "s1")

    assert desk.tally.turns == {"opened": 1, "stored": 1, "replayed": 1}
    assert desk.tally.gone == {"deleted": 1}


async def test_a_missing_session_is_named(desk: Desk) -> None:
    with pytest.raises(SessionNotFound, match="'s9'"):
        await desk.sessions.read("local", "s9")


async def test_a_search_looks_through_titles_whatever_the_case(desk: Desk) -> None:
    for number, title in enumerate(["Straße", "the END", "Weekend plans", "other"]):
        await commit(desk, f"s{number}", question=title)

    found = await page(desk, q="eNd")
    sharp = await page(desk, q="STRASSE")

    assert [summary.title for summary in found.sessions] == ["Weekend plans", "the END"]
    assert [summary.title for summary in sharp.sessions] == ["Straße"]
    assert found.stats == wire.Stats(total_sessions=4, total_messages=8)


async def test_a_search_looks_through_what_was_said(desk: Desk) -> None:
    await commit(desk, "s1", question="What is a quokka?")
    await desk.sessions.retitle("local", "s1", wire.Retitle(title="Animals"))
    await commit(desk, "s2", question="and a whale")

    found = await page(desk, q="QUOKKA")
    of_nobody = await desk.sessions.page("ben", wire.ListQuery(q="quokka"))

    assert [summary.title for summary in found.sessions] == ["Animals"]
    assert of_nobody.sessions == []


@pytest.mark.slow
async def test_a_search_goes_on_where_the_page_before_ended(desk: Desk) -> None:
    total = SEARCHED_AT_MOST + 70
    for number in range(total):
        await commit(desk, f"s{number:03}", question="wanted" if number % 50 == 0 else "other")

    found: list[str] = []
    after = None
    while True:
        part = await page(desk, limit=2, q="wanted", after=after)
        found += [summary.id for summary in part.sessions]
        assert part.has_more == (part.next is not None)
        after = part.next
        if after is None:
            break

    assert found == [f"s{number:03}" for number in range(total - total % 50, -1, -50) if number < total]


async def test_a_full_last_page_says_that_it_is_the_last(desk: Desk) -> None:
    for number in range(4):
        await commit(desk, f"s{number}")

    first = await page(desk, limit=2)
    second = await page(desk, limit=2, after=first.next)

    assert (first.has_more, second.has_more, second.next) == (True, False, None)
    assert [summary.id for summary in [*first.sessions, *second.sessions]] == ["s3", "s2", "s1", "s0"]


@pytest.mark.slow
async def test_expired_sessions_are_swept_out_as_lists_are_read(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, ttl_seconds=100)
    for number in range(EXPIRED_AT_ONCE + 10):
        await commit(desk, f"old{number}")
    clock.now += 101
    await commit(desk, "new")

    some = await desk.sessions.stats("local")
    all_of_them = await desk.sessions.stats("local")

    assert (some.total_sessions, all_of_them) == (11, wire.Stats(total_sessions=1, total_messages=2))
    assert desk.tally.gone["expired"] == EXPIRED_AT_ONCE + 10


@pytest.mark.parametrize(("minutes", "removed"), [(30, 1), (0, 2), (61, 0), (float("inf"), 0), (1e308, 0)])
async def test_clean_up_removes_what_was_idle_for_so_long(
    desk: Desk, clock: Clock, minutes: float, removed: int
) -> None:
    await commit(desk, "old")
    clock.now += 60 * 60
    await commit(desk, "new")
    clock.now += 0.001

    cleaned = await desk.sessions.clean_up("local", wire.CleanupQuery(max_age_minutes=minutes))

    assert cleaned.removed_sessions == removed


def test_a_cursor_is_read_back() -> None:
    assert place_of(cursor_of(Place(17, "a_b-c:d.e"))) == Place(17, "a_b-c:d.e")


@pytest.mark.parametrize("cursor", ["", "_", "1_", "_a", "x_a", "-1_a", "1_a/b", "1", "9" * 17 + "_a", "٣_a", "1e9_a"])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="after"):
        place_of(cursor)
