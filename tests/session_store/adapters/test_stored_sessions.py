"""The promises of StoredSessions, kept by every adapter."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from session_store.domain.branches import NewBranch, over
from session_store.domain.openings import Held, Stored
from session_store.domain.ranges import before
from session_store.domain.records import MICROS, Page, Place, Totals
from tests.session_store.parts import NOON, Clock, Store, append, key, texts, turn_of

NOW = NOON * MICROS


async def ids(place: Store, owner: str = "local", count: int = 100) -> list[str]:
    page = await place.sessions.page(owner, after=None, count=count, now_us=NOW)
    return [record.session_id for _, record in page.entries]


async def test_a_created_session_is_empty_and_titled(place: Store) -> None:
    await place.sessions.create(key(), title="mine", now_us=NOW)

    found = await place.sessions.read(key())

    assert found is not None
    record, messages = found.record, found.messages
    assert (record.title, record.created_us, record.active_us, record.message_count, messages) == (
        "mine",
        NOW,
        NOW,
        0,
        [],
    )


async def test_creating_twice_changes_nothing(place: Store) -> None:
    await place.sessions.create(key(), title="mine", now_us=NOW)
    await append(place, key(), turn_of("1", "hello"))
    await place.sessions.create(key(), title="other", now_us=NOW + 5)

    found = await place.sessions.read(key())

    assert found is not None
    assert (found.record.title, found.record.message_count) == ("mine", 1)


async def test_append_creates_the_session(place: Store) -> None:
    await append(place, key(), turn_of("1", "hello", "again"))

    found = await place.sessions.read(key())

    assert found is not None
    assert texts(found.messages) == ["hello", "again"]
    assert (found.record.message_count, found.record.dialog_count, found.record.created_us) == (2, 2, NOW)


async def test_what_is_stored_comes_back_as_it_was(place: Store) -> None:
    turn = turn_of("1", 'quotes " and \\ and \n and 日本 and 🎉 and \x00')
    await append(place, key(), turn)

    found = await place.sessions.read(key())

    assert found is not None
    assert found.messages == list(turn.messages)


async def test_a_thousand_messages_are_one_turn(place: Store) -> None:
    appended = await append(place, key(), turn_of("1", *map(str, range(1_000))))

    found = await place.sessions.read(key())

    assert found is not None
    assert appended.message_count == 1_000
    assert texts(found.messages) == list(map(str, range(1_000)))


async def test_a_repeated_turn_is_stored_once_and_answered_as_before(place: Store) -> None:
    first = await append(place, key(), turn_of("1", "hello"))
    await append(place, key(), turn_of("2", "more", "and more"))

    again = await append(place, key(), turn_of("1", "hello"))

    found = await place.sessions.read(key())
    assert found is not None
    assert texts(found.messages) == ["hello", "more", "and more"]
    assert (first.repeated, again.repeated, again.message_count) == (False, True, first.message_count)


async def test_a_repeat_after_a_clear_is_still_one(place: Store) -> None:
    await append(place, key(), turn_of("1", "hello"))
    await place.sessions.clear(key(), now_us=NOW)
    await append(place, key(), turn_of("2", "new"))

    again = await place.turns.commit(key(), Held("1", 1, "main"), turn_of("1", "hello"))

    assert isinstance(again, Stored)
    assert (again.repeated, again.message_count) == (True, 0)
    assert (await place.sessions.totals("local")).messages == 1


@pytest.mark.slow
async def test_the_last_thousand_turns_are_remembered(place: Store) -> None:
    for number in range(1_102):
        await append(place, key(), turn_of(str(number), "x"))

    oldest = await append(place, key(), turn_of("0", "x"))
    second = await append(place, key(), turn_of("102", "x"))

    assert (oldest.repeated, second.repeated) == (False, True)


async def test_one_turn_handed_in_by_many_at_once_is_stored_once(place: Store) -> None:
    answers = await asyncio.gather(*(append(place, key(), turn_of("1", "a", "b")) for _ in range(20)))

    assert sum(not answer.repeated for answer in answers) == 1
    assert await place.sessions.totals("local") == Totals(1, 2)


async def test_the_automatic_title_is_the_first(place: Store) -> None:
    await append(place, key(), turn_of("1", "a"))
    await append(place, key(), turn_of("2", "a", title="first"))
    await append(place, key(), turn_of("3", "a", title="second"))

    found = await place.sessions.read(key())

    assert found is not None
    assert (found.record.auto_title, found.record.title) == ("first", "")


async def test_activity_grows_though_the_clock_does_not(place: Store) -> None:
    await append(place, key(), turn_of("1", "a", now_us=NOW))
    await append(place, key(), turn_of("2", "a", now_us=NOW - 5))
    await place.sessions.clear(key(), now_us=NOW - 5)

    found = await place.sessions.read(key())

    assert found is not None
    assert (found.record.created_us, found.record.active_us) == (NOW, NOW + 4)


async def test_a_window_is_the_newest(place: Store) -> None:
    await append(place, key(), turn_of("1", *"abcdef"))

    window = await place.turns.window(key(), newest=2)

    assert (window.total, texts(window.tail)) == (6, ["e", "f"])


async def test_a_window_of_nothing_is_empty(place: Store) -> None:
    window = await place.turns.window(key(), newest=2)

    assert (window.total, list(window.fixed), list(window.tail)) == (0, [], [])


async def test_a_cleared_session_stays_without_its_messages(place: Store) -> None:
    await place.sessions.create(key(), title="mine", now_us=NOW)
    await append(place, key(), turn_of("1", "hello", title="auto"))

    cleared = await place.sessions.clear(key(), now_us=NOW + 7)

    found = await place.sessions.read(key())
    assert cleared
    assert found is not None
    record, messages = found.record, found.messages
    assert (record.title, record.auto_title, record.message_count, record.dialog_count) == ("mine", "", 0, 0)
    assert (record.active_us, messages) == (NOW + 7, [])
    assert await place.sessions.totals("local") == Totals(1, 0)


async def test_a_new_title_moves_nothing(place: Store) -> None:
    await append(place, key("a"), turn_of("1", "x", now_us=NOW))
    await append(place, key("b"), turn_of("1", "x", now_us=NOW + 1))

    assert await place.sessions.retitle(key("a"), "new")

    found = await place.sessions.read(key("a"))
    assert found is not None
    assert (found.record.title, await ids(place)) == ("new", ["b", "a"])


async def test_a_deleted_session_is_gone_and_may_begin_again(place: Store) -> None:
    await append(place, key(), turn_of("1", "old"))

    assert await place.sessions.delete(key())

    assert await place.sessions.read(key()) is None
    assert (await place.turns.window(key(), newest=9)).total == 0
    assert (await ids(place), await place.sessions.totals("local")) == ([], Totals(0, 0))
    assert not (await append(place, key(), turn_of("1", "new"))).repeated
    assert await ids(place) == ["s1"]


async def test_what_is_not_there_cannot_be_changed(place: Store) -> None:
    assert await place.sessions.read(key()) is None
    assert not await place.sessions.clear(key(), now_us=NOW)
    assert not await place.sessions.retitle(key(), "x")
    assert not await place.sessions.delete(key())
    assert await ids(place) == []


async def test_nobody_sees_anybody_elses(place: Store) -> None:
    await append(place, key(owner="anna"), turn_of("1", "secret"))
    await append(place, key(owner="anna:s"), turn_of("1", "x"))

    assert await place.sessions.read(key(owner="ben")) is None
    assert await place.sessions.read(key("s:s1", owner="anna")) is None
    assert not await place.sessions.delete(key(owner="ben"))
    assert not await place.sessions.retitle(key(owner="ben"), "mine now")
    assert not await place.sessions.clear(key(owner="ben"), now_us=NOW)
    assert await place.sessions.remove_idle("ben", until_us=NOW * 2, now_us=NOW) == 0
    assert (await ids(place, "ben"), await place.sessions.totals("ben")) == ([], Totals(0, 0))
    assert (await ids(place, "anna"), await place.sessions.totals("anna")) == (["s1"], Totals(1, 1))


async def every_page(place: Store, count: int) -> list[Page]:
    pages = [await place.sessions.page("local", after=None, count=count, now_us=NOW)]
    while (after := pages[-1].next) is not None:
        pages.append(await place.sessions.page("local", after=after, count=count, now_us=NOW))
    return pages


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("step_us", [0, 1_000])
async def test_pages_hold_every_session_once_newest_first(place: Store, count: int, step_us: int) -> None:
    names = [f"s{number}" for number in range(7)]
    for number, name in enumerate(names):
        await append(place, key(name), turn_of("1", "x", now_us=NOW + number * step_us))

    pages = await every_page(place, count)

    listed = [record.session_id for page in pages for _, record in page.entries]
    assert listed == sorted(names, reverse=True)
    assert [len(page.entries) for page in pages][:-1] == [count] * (len(pages) - 1)


async def test_a_page_after_a_place_that_is_gone_goes_on_from_there(place: Store) -> None:
    for number in range(4):
        await append(place, key(f"s{number}"), turn_of("1", "x", now_us=NOW + number))
    await place.sessions.delete(key("s2"))

    page = await place.sessions.page("local", after=Place(NOW + 2, "s2"), count=9, now_us=NOW)

    assert [record.session_id for _, record in page.entries] == ["s1", "s0"]


@pytest.mark.slow
async def test_idle_sessions_are_removed_the_oldest_first(place: Store) -> None:
    for number in range(250):
        await append(place, key(f"s{number:03}"), turn_of("1", "x", now_us=NOW + number))

    some = await place.sessions.remove_idle("local", until_us=NOW + 200, now_us=NOW, at_most=100)
    rest = await place.sessions.remove_idle("local", until_us=NOW + 200, now_us=NOW)

    assert (some, rest, await place.sessions.totals("local")) == (100, 100, Totals(50, 50))
    assert (await ids(place))[-1] == "s200"


async def test_activity_saves_a_session_from_removal(place: Store, clock: Clock) -> None:
    await append(place, key(), turn_of("1", "x", now_us=NOW))
    await append(place, key(), turn_of("2", "x", now_us=NOW + 100))

    assert await place.sessions.remove_idle("local", until_us=NOW + 50, now_us=NOW) == 0
    assert await ids(place) == ["s1"]


async def test_words_are_found_in_the_text_of_messages_in_any_case(place: Store) -> None:
    await append(place, key("a"), turn_of("1", 'He said: "Straße", ЖИЗНЬ\\nщи', "x"))
    await append(place, key("b"), turn_of("1", "日本語 and STRASSE 12"))
    both = {key("a"), key("b")}

    async def holding(words: str) -> set[str]:
        found = await place.sessions.holding([key("a"), key("b"), key("gone")], words.casefold())
        return {one.session_id for one in found}

    assert await holding("STRASSE") == await holding("straße") == {one.session_id for one in both}
    assert await holding("жИЗнЬ") == await holding('"Straße", Ж') == await holding("\\nЩИ") == {"a"}
    assert await holding("本語 a") == await holding("strasse 12") == {"b"}
    for nothing in ("role", "content", "timestamp", "user", "straße 12 x", "1-0", "metadata"):
        assert await holding(nothing) == set()
    assert await place.sessions.holding(list(both), "") == both


PARTS = [
    [{"type": "text", "text": "a file:"}, {"type": "file", "file": {"file_data": "data:zebra", "text": 5}}],
    [{"type": "image_url", "image_url": {"url": "data:zebra"}}, {"text": 'the "Zebra"\\', "type": "text"}],
    [{"type": "text", "text": "it ends in \\"}, {"text": "and then \\"}, {"type": "text", "text": "a zebra"}],
    [{"type": "refusal", "refusal": 'no \\"zebra\\"'}, {"type": "text", "text": ""}],
    [{"type": "text", "text": 'so: "text":"none"'}],
    [],
]


async def test_words_are_found_in_the_texts_among_other_parts(place: Store) -> None:
    for number, parts in enumerate(PARTS):
        plain = turn_of("1", "x")
        message = msgspec.structs.replace(plain.messages[0], content=parts)
        await append(place, key(str(number)), replace(plain, messages=[message]))
    keys = [key(str(number)) for number in range(len(PARTS))]

    async def holding(words: str) -> str:
        found = await place.sessions.holding(keys, words)
        return "".join(sorted(one.session_id for one in found))

    assert await holding("zebra") == "123"
    assert await holding('the "zebra"\\') == "1"
    assert await holding('"text":"') == "4"
    for nothing in ("data:", "image_url", "file_data"):
        assert await holding(nothing) == ""


async def test_words_are_found_however_many_messages_look_like_them(place: Store) -> None:
    decoys = ["metadata" if number % 3 else "x" for number in range(1_000)]
    await append(place, key("a"), turn_of("1", *decoys))
    await append(place, key("a"), turn_of("2", *[str(number) for number in range(300)], "there: role 7"))

    assert await place.sessions.holding([key("a")], "role 7") == {key("a")}
    assert await place.sessions.holding([key("a")], "role 8") == set()


async def test_words_are_found_where_some_branch_has_them(place: Store) -> None:
    await append(place, key("a"), turn_of("1", "one", "two"))
    whole = await place.sessions.whole(key("a"))
    assert whole is not None
    main = whole.branches["main"]
    state = over(whole, before(main.ranges, 1), main)
    await place.sessions.fork(key("a"), NewBranch(state=state, of=whole, now_us=NOW, select=True))

    assert await place.sessions.holding([key("a")], "two") == {key("a")}


async def test_the_head_is_told_without_its_messages(place: Store) -> None:
    await append(place, key(), turn_of("1", "x", "y"))

    read, head = await place.sessions.read(key()), await place.sessions.head(key())

    assert read is not None
    assert head is not None
    assert (list(head.messages), replace(head, messages=read.messages)) == ([], read)
    assert await place.sessions.head(key("s2")) is None
