"""Sessions taken out and in over the wire, on both adapters."""

import threading
from typing import Any

import aiohttp
import msgspec
import pytest

from sage_contracts import memory
from sage_contracts import sessions as wire
from sage_contracts.errors import SessionNotFound, StoreUnavailable
from session_store.domain.branches import Whole
from session_store.domain.memory.notes import Note
from session_store.domain.records import MICROS, SessionKey
from session_store.domain.transfers.transfers import Transfers
from tests.fakes.bad_bodies import BAD_BODIES
from tests.session_store.domain.transfers.test_transfers_formats import CHAT, ITEMS, NOTE, OWN, changed
from tests.session_store.parts import NOON, Clock, Desk, desk_over, exchange, memory_store

FORMATS = ("sage", "openai", "open-webui")


async def talked(desk: Desk, name: str = "s1") -> None:
    """A session of two turns, the second of which was asked anew on a branch that is the head now."""
    for number in range(2):
        await desk.told(name, str(number), exchange(f"question {number}", f"answer {number}"))
    messages = (await desk.sessions.read("local", name)).messages
    await desk.branching.fork("local", name, wire.Fork(at=messages[2].id, before=True, name="again"))
    await desk.sessions.retitle("local", name, wire.Retitle(title="Two things"))


async def exported(http: aiohttp.ClientSession, name: str, kind: str = "sage") -> Any:
    async with http.get(f"/sessions/{name}/export", params={"format": kind}) as response:
        assert response.status == 200
        assert response.headers["content-disposition"] == f'attachment; filename="{name}.{kind}.json"'
        return await response.json()


async def sent(http: aiohttp.ClientSession, value: Any) -> tuple[int, dict[str, Any]]:
    async with http.post("/sessions/import", data=msgspec.json.encode(value)) as response:
        return response.status, await response.json()


async def names(desk: Desk) -> list[str]:
    return [one.id for one in (await desk.sessions.page("local", wire.ListQuery())).sessions]


async def test_a_session_deleted_and_taken_in_again_is_the_same(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk)
    before = await exported(http, "s1")
    branches = await desk.branching.branches("local", "s1")
    await desk.sessions.delete("local", "s1")

    status, answer = await sent(http, before)

    after = await exported(http, "s1")
    assert (status, answer["format"], [one["id"] for one in answer["sessions"]]) == (200, "sage", ["s1"])
    assert answer["sessions"][0]["title"] == "Two things"
    assert {name: value for name, value in after.items() if name != "last_active"} == {
        name: value for name, value in before.items() if name != "last_active"
    }
    assert {one.name: one.message_count for one in (await desk.branching.branches("local", "s1")).branches} == {
        one.name: one.message_count for one in branches.branches
    }


async def test_what_is_remembered_travels_with_its_provenance(http: aiohttp.ClientSession, desk: Desk) -> None:
    made = await desk.sessions.create("local", wire.NewSession(memory=wire.MemoryChoice(backend="kv")))
    await desk.told(made.id, "1", exchange("Remember that my cat is called Tom."))
    await desk.remembered()
    by_hand = memory.NewFacts(facts=[memory.NewFact(key="drinks", value="tea")])
    await desk.remembering.put("local", made.id, by_hand)
    before = await desk.remembering.items("local", made.id)
    file = await exported(http, made.id)
    await desk.sessions.delete("local", made.id)

    status, _ = await sent(http, file)
    await desk.remembered()

    after = await desk.remembering.items("local", made.id)
    assert (status, after) == (200, before)
    assert [item.message_id is None for item in before.items].count(True) == 1
    assert len(before.items) == 2
    assert (await exported(http, made.id))["notes"] == file["notes"]


async def test_a_summary_stays_at_the_last_message_it_sums_up(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk)
    main = (await desk.sessions.read("local", "s1", wire.ReadQuery(branch="main"))).messages
    shelves, kept = desk.store.shelves, SessionKey("local", "s1")
    for last in (1, 3):
        note = Note(
            id=f"summary_{last}",
            kind="summary",
            text="minutes",
            at_us=1,
            position=last,
            message_id=main[0].id,
            last_message_id=main[last].id,
        )
        await shelves.add(kept, "summaries", [note])
    before = await desk.transfers.export("local", "s1", wire.ExportQuery())

    status, answer = await sent(http, before)

    (copy,) = answer["sessions"]
    notes = await shelves.all(SessionKey("local", copy["id"]), "summaries")
    log = (await desk.sessions.whole("local", copy["id"])).log
    placed = {note.id: log[note.position].id for note in notes if note.position is not None}
    assert (status, placed) == (200, {"summary_1": main[1].id, "summary_3": main[3].id})


@pytest.mark.parametrize(
    ("sent_as", "remembered"),
    [
        ({"items": [{"role": "user", "content": "Remember that my cat is called Tom."}]}, ["my cat is called Tom"]),
        (OWN | {"notes": {"facts": [NOTE | {"message_id": "m1", "text": "brought"}]}}, ["brought"]),
        (OWN, []),
    ],
)
async def test_what_brings_no_memory_is_remembered_as_if_said_here(sent_as: Any, remembered: list[str]) -> None:
    clock = Clock()
    desk = desk_over(memory_store(clock), clock, backend="kv")
    taken = await desk.transfers.take_in("local", sent_as)
    await desk.remembered()

    found = await desk.remembering.items("local", taken.sessions[0].id)
    assert [item.text for item in found.items] == remembered


async def test_a_taken_id_is_left_to_who_has_it(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk)
    before = await exported(http, "s1")
    await desk.sessions.clear("local", "s1")

    _, answer = await sent(http, before)

    (new,) = [one["id"] for one in answer["sessions"]]
    assert new != "s1"
    assert (await exported(http, "s1"))["messages"] == []
    assert (await exported(http, new))["messages"] == before["messages"]


async def test_what_was_taken_in_goes_on_as_any_session(http: aiohttp.ClientSession, desk: Desk) -> None:
    _, answer = await sent(http, CHAT)
    (summary,) = answer["sessions"]
    await desk.told(summary["id"], "1", exchange("and another?", "a lime"))

    found = await desk.sessions.read("local", summary["id"])
    assert (summary["title"], summary["created_at"], summary["message_count"]) == ("Trees", "2023-11-14T22:13:20Z", 3)
    assert [one.content for one in found.messages] == [
        "Be short.",
        "Name a tree",
        "An oak",
        "and another?",
        "a lime",
    ]


@pytest.mark.parametrize("kind", FORMATS)
async def test_each_format_can_be_taken_in_again(http: aiohttp.ClientSession, desk: Desk, kind: str) -> None:
    await talked(desk)

    status, answer = await sent(http, await exported(http, "s1", kind))

    assert (status, answer["format"]) == (200, kind)
    (copy,) = answer["sessions"]
    head = await desk.sessions.read("local", "s1")
    assert [one.content for one in (await desk.sessions.read("local", copy["id"])).messages] == [
        one.content for one in head.messages
    ]


async def test_a_list_is_taken_in_in_its_order_and_listed_by_its_times(
    http: aiohttp.ClientSession, desk: Desk, clock: Clock
) -> None:
    chats = [changed(CHAT, "updated_at", second) for second in (1_700_000_020, 1_700_000_010, 1_700_000_030)]
    titled = [changed(chat, "title", title) for chat, title in zip(chats, "bac", strict=True)]

    _, answer = await sent(http, titled)

    listed = (await desk.sessions.page("local", wire.ListQuery())).sessions
    assert [one["title"] for one in answer["sessions"]] == ["b", "a", "c"]
    assert [one.title for one in listed] == ["c", "b", "a"]
    assert all(abs(one.last_active.timestamp() - clock.now) < 1 for one in listed)


@pytest.mark.parametrize("good", [OWN, CHAT])
async def test_one_that_is_wrong_keeps_all_of_a_list_out(http: aiohttp.ClientSession, desk: Desk, good: Any) -> None:
    path = "head" if good is OWN else "chat.history.currentId"

    status, answer = await sent(http, [good, good, changed(good, path, "zz")])

    shown = "[2].head" if good is OWN else "[2].chat.history.currentId"
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "invalid_request", shown)
    assert await names(desk) == []


@pytest.mark.parametrize(
    ("change", "value", "told"),
    [
        ("id", "cleanup", "id: 'cleanup' is reserved"),
        ("memory", {"backend": "tape"}, "memory.backend: Invalid enum value 'tape'"),
        ("branches", {f"b{n}": "m2" for n in range(100)} | {"main": "m2"}, "it has more than 100 branches"),
    ],
)
async def test_what_cannot_be_kept_here_is_a_400(
    http: aiohttp.ClientSession, desk: Desk, change: str, value: Any, told: str
) -> None:
    status, answer = await sent(http, OWN | {change: value})

    assert (status, answer["error"]["message"]) == (400, told)
    assert await names(desk) == []


async def test_a_session_that_does_not_exist_cannot_be_taken_out(http: aiohttp.ClientSession) -> None:
    async with http.get("/sessions/nobody/export") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "session_not_found")


async def test_an_unknown_format_is_a_400(http: aiohttp.ClientSession, desk: Desk) -> None:
    await talked(desk)
    async with http.get("/sessions/s1/export", params={"format": "pdf"}) as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "format")


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_a_400(http: aiohttp.ClientSession, name: str) -> None:
    async with http.post("/sessions/import", data=BAD_BODIES[name]) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_request")


async def test_somebody_elses_session_is_not_taken_out(desk: Desk) -> None:
    await talked(desk)

    with pytest.raises(SessionNotFound):
        await desk.transfers.export("ben", "s1", wire.ExportQuery())
    await desk.transfers.take_in("ben", [OWN | {"id": "s1"}])
    assert len((await desk.sessions.read("local", "s1")).messages) == 2


async def test_a_store_that_goes_away_in_the_middle_keeps_nothing() -> None:
    clock = Clock()
    store = memory_store(clock)
    desk = desk_over(store, clock)
    put = store.sessions.put
    taken: list[SessionKey] = []

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store.sessions, name)

        async def put(self, key: SessionKey, new: Whole) -> bool:
            if len(taken) == 2:
                raise StoreUnavailable("away")
            taken.append(key)
            return await put(key, new)

    failing = desk_over(type(store)(Failing(), store.turns, store.shelves), clock)
    with pytest.raises(StoreUnavailable):
        await failing.transfers.take_in("local", [OWN, OWN, OWN])

    assert len(taken) == 2
    assert await names(desk) == []


async def test_times_that_are_yet_to_come_become_now(desk: Desk) -> None:
    told = await desk.transfers.take_in("local", OWN | {"created_at": "2999-01-01T00:00:00Z"})

    assert told.sessions[0].created_at.timestamp() == NOON
    assert (await desk.sessions.whole("local", told.sessions[0].id)).active_us == NOON * MICROS


async def test_reading_what_is_sent_holds_up_nobody_else() -> None:
    clock, threads = Clock(), set[threading.Thread]()
    desk = desk_over(memory_store(clock), clock)

    def ids() -> str:
        threads.add(threading.current_thread())
        return f"id-{len(threads)}"

    transfers = Transfers(desk.sessions, desk.memories, desk.store.shelves, clock=clock, ids=ids)
    await transfers.take_in("local", CHAT)

    assert threads
    assert threading.current_thread() not in threads


async def test_a_session_sent_without_the_first_branch_has_an_empty_one(
    http: aiohttp.ClientSession, desk: Desk
) -> None:
    _, answer = await sent(http, OWN | {"head": "a", "branches": {"a": "m2", "b": "m1"}})

    (summary,) = answer["sessions"]
    listed = (await desk.branching.branches("local", summary["id"])).branches
    main = await desk.sessions.read("local", summary["id"], wire.ReadQuery(branch="main"))
    assert {branch.name: branch.message_count for branch in listed} == {"a": 2, "b": 1, "main": 0}
    assert main.messages == []


async def test_items_are_titled_by_the_first_question(http: aiohttp.ClientSession) -> None:
    _, answer = await sent(http, {"items": ITEMS})

    assert answer["sessions"][0]["title"] == "Weather?"
