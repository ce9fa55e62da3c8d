"""Turns kept elsewhere by meaning: what is refused, what is erased late, and what is erased at last."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
import pytest

from sage_contracts import sessions
from sage_contracts.errors import InvalidRequest, ServiceUnavailable
from sage_contracts.recollections import Recollection, Remember
from session_store.domain.memory.vectors import Vectors
from session_store.domain.records import SessionKey
from tests.session_store.domain.memory.parts import FACT, ask, recalled, say, talk
from tests.session_store.parts import Clock, Desk, ListedRecollections, Store, desk_over


def vectors_of(desk: Desk) -> Vectors:
    vectors = desk.memories.usual
    assert isinstance(vectors, Vectors)
    return vectors


@pytest.mark.parametrize("how", ["delete", "clear"])
async def test_an_erasure_that_is_late_spares_what_was_said_since(place: Store, clock: Clock, how: str) -> None:
    recollections = ListedRecollections()
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await say(desk, FACT)
    recollections.away = True
    await (desk.sessions.delete if how == "delete" else desk.sessions.clear)("local", "s1")
    await say(desk, "Said while it was away.")
    recollections.away = False
    await say(desk, "Said before the erasure.")
    await vectors_of(desk).store_owed()
    await desk.erasing.sweep()

    listed = {item.id for item in (await desk.remembering.items("local", "s1")).items}
    kept = recollections.kept[SessionKey("local", "s1")]
    assert (len(listed), set(kept)) == (2, listed)
    assert (await desk.sessions.delete("local", "s1")).removed["vectors"] == 2


async def test_what_other_branches_say_crowds_nothing_out(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, backend="vdb", max_dialogs=1)
    await say(desk, "The Albatross is at Skerry Bay.", "Let us talk of bread.")
    for number in range(8):
        fork = sessions.Fork(name=f"side-{number}")
        await desk.branching.fork("local", "s1", fork)
        await say(desk, *["Where in the bay is the boat Albatross?"] * 8)

    assert "Skerry" in recalled(await ask(desk, "Where is the boat Albatross?", branch="main"))


@pytest.mark.parametrize("lost", ["cleaned up", "expired"])
async def test_nothing_is_left_of_a_session_that_went_without_a_word(place: Store, clock: Clock, lost: str) -> None:
    recollections = ListedRecollections()
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await say(desk, FACT)
    await say(desk, FACT, session_id="s2")
    clock.now += 60
    await say(desk, "I am still here.", session_id="s2")
    if lost == "expired":
        await place.sessions.delete(SessionKey("local", "s1"))
    else:
        await desk.sessions.clean_up("local", sessions.CleanupQuery(max_age_minutes=0.5))
    recollections.away = True
    await vectors_of(desk).erase_lost()
    recollections.away = False
    await vectors_of(desk).erase_lost()

    assert {key.session_id: len(kept) for key, kept in recollections.kept.items()} == {"s1": 0, "s2": 2}


@dataclass
class UnheardRecollections(ListedRecollections):
    """It keeps what it is given, and while `lost` nobody is told so."""

    lost: bool = False

    async def remember(self, key: SessionKey, items: Sequence[Recollection]) -> None:
        await super().remember(key, items)
        if self.lost:
            raise ServiceUnavailable("rag-indexer did not answer in time")


async def test_what_was_remembered_without_an_answer_is_forgotten_with_its_session(place: Store, clock: Clock) -> None:
    """Another replica deletes the session: it knows nothing of what waits here."""
    recollections, key = UnheardRecollections(lost=True), SessionKey("local", "s1")
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await say(desk, FACT)
    recollections.lost = False
    await place.sessions.delete(key)

    await vectors_of(desk).store_owed()

    assert recollections.kept == {key: {}}
    assert vectors_of(desk).notice() is None


@dataclass
class OvertakenRecollections(ListedRecollections):
    """What is done `meanwhile` comes before the first thing to be forgotten, if it is let."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def forget(self, key: SessionKey, ids: Sequence[str] | None, *, keep: Sequence[str] = ()) -> int:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().forget(key, ids, keep=keep)


async def test_what_is_said_during_an_erasure_is_kept(place: Store, clock: Clock) -> None:
    said: list[asyncio.Task[None]] = []

    async def speak() -> None:
        said.append(asyncio.create_task(say(desk, "Said since.")))
        await asyncio.wait(said, timeout=0.1)

    recollections = OvertakenRecollections(meanwhile=speak)
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await say(desk, FACT)

    await desk.sessions.clear("local", "s1")
    await asyncio.gather(*said)

    listed = {item.id for item in (await desk.remembering.items("local", "s1")).items}
    assert (len(listed), set(recollections.kept[SessionKey("local", "s1")])) == (1, listed)


class StrictRecollections(ListedRecollections):
    """It refuses what the rag-indexer refuses."""

    async def remember(self, key: SessionKey, items: Sequence[Recollection]) -> None:
        request = Remember(owner=key.owner, session_id=key.session_id, items=list(items))
        try:
            msgspec.convert(msgspec.to_builtins(request), Remember)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error)) from error
        if any("refused" in item.text for item in items):
            raise InvalidRequest("not this one")
        await super().remember(key, items)


async def test_a_turn_that_is_refused_keeps_no_other_waiting(place: Store, clock: Clock) -> None:
    recollections = StrictRecollections()
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    await say(desk, "This is refused.")
    await say(desk, FACT, session_id="s2")

    assert [key.session_id for key in recollections.kept] == ["s2"]
    assert vectors_of(desk).notice() is None
    assert desk.tally.works["remember failed"] == 1


@pytest.mark.parametrize("message_id", ["m" * 128, "m" * 126, "m.1", "m"])
@pytest.mark.slow
async def test_a_long_message_is_remembered_whatever_it_is_called(place: Store, clock: Clock, message_id: str) -> None:
    recollections = StrictRecollections()
    desk = desk_over(place, clock, backend="vdb", recollected=recollections)
    said = {"role": "user", "timestamp": "2024-01-01T00:00:00Z", "content": "the boat Albatross " * 200}
    session = {
        "format": "sage.session",
        "id": "s1",
        "created_at": "2024-01-01T00:00:00Z",
        "last_active": "2024-01-01T00:00:00Z",
        "head": "main",
        "branches": {"main": message_id},
        "messages": [{**said, "id": message_id}],
    }
    await desk.transfers.take_in("local", session)
    await desk.remembered()
    await talk(desk, 21)

    hits = (await ask(desk, "Albatross?")).hits
    items = (await desk.remembering.items("local", "s1")).items

    assert {hit.message_id for hit in hits} == {message_id if message_id == "m" else None}
    assert message_id in {item.message_id for item in items}
    for item in items:
        await desk.remembering.forget("local", "s1", item.id)
    assert not any(recollections.kept.values())
