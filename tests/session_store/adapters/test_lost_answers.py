"""A command that Redis has done, and whose answer was lost, is sent again by redis-py: it is known as done."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from session_store.domain.branches import BranchState, NewBranch, Whole
from session_store.domain.records import MICROS, Record
from tests.session_store.parts import NOON, Store, append, key, redis_client, redis_store, turn_of

NOW = NOON * MICROS
EMPTY = BranchState()


class Line:
    """A way to Redis that breaks when asked to, in the place of a script's answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.is_to_break = False

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asking = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while asked := await reader.read(2**20):
                asking.write(asked)
                answer = await answers.read(2**20)
                if self.is_to_break and b"EVALSHA" in asked:
                    self.is_to_break = False
                    return
                writer.write(answer)
        finally:
            asking.close()
            writer.close()


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[tuple[Line, Store]]:
    """A store at its end, whose scripts Redis knows already."""
    line = Line(urlsplit(redis_url).port or 0)
    async with await asyncio.start_server(line.join, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with redis_client(f"redis://127.0.0.1:{port}/7") as redis:
            store = redis_store(redis)
            await store.sessions.put(key("first"), whole("first"))
            await store.sessions.fork(key("first"), NewBranch(state=EMPTY, of=whole("first"), now_us=NOW))
            yield line, store


def whole(name: str) -> Whole:
    record = Record(session_id=name, created_us=NOW, active_us=NOW)
    return Whole(record=record, log=(), branches={"main": EMPTY})


async def test_a_session_is_created_by_the_call_that_created_it(line: tuple[Line, Store]) -> None:
    way, store = line
    await store.sessions.create(key("before"), title="", now_us=NOW)
    way.is_to_break = True

    assert await store.sessions.create(key("new"), title="", now_us=NOW)
    assert not way.is_to_break
    assert not await store.sessions.create(key("new"), title="", now_us=NOW)


async def test_a_session_is_stored_by_the_call_that_stored_it(line: tuple[Line, Store]) -> None:
    way, store = line
    way.is_to_break = True

    stored = await store.sessions.put(key(), whole("s1"))

    assert (way.is_to_break, stored) == (False, True)
    assert not await store.sessions.put(key(), whole("s1"))


@pytest.mark.parametrize("name", [None, "own"])
async def test_a_branch_is_made_once_by_the_call_that_made_it(line: tuple[Line, Store], name: str | None) -> None:
    way, store = line
    await append(store, key(), turn_of("1", "one"))
    source = await store.sessions.whole(key())
    assert source is not None
    way.is_to_break = True

    made = await store.sessions.fork(key(), NewBranch(state=EMPTY, of=source, now_us=NOW, name=name))

    found = await store.sessions.whole(key())
    assert found is not None
    assert (way.is_to_break, made) == (False, name or "fork-1")
    assert set(found.branches) == {"main", made}
