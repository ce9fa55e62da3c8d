import asyncio
import json
from contextlib import aclosing

import pytest

from chat_gateway.domain.ports import Breaker
from chat_gateway.domain.reading import Skimmer
from chat_gateway.domain.relaying import relayed
from sage_contracts.errors import AnswerTooLarge, EngineBroke, StoreUnavailable, UpstreamError, UpstreamTimeout
from sage_contracts.sse import DONE, PING
from tests.chat_gateway.domain.doubles import DROPPED, ScriptedFlow
from tests.chat_gateway.domain.test_reading import frame

ONE, TWO, LAST = frame({"content": "1"}), frame({"content": "2"}), frame(finish="stop")


class Scene:
    """An Ending that notes what it is told."""

    def __init__(self, *pieces: bytes | Exception, failing: BaseException | None = None) -> None:
        self.flow = ScriptedFlow(*pieces)
        self.failing = failing
        self.completed = 0
        self.broken_by: list[Breaker] = []
        self.freed: list[Breaker | None] = []
        self.out: list[bytes] = []

    async def complete(self) -> None:
        assert DONE not in self.out
        self.completed += 1
        if self.failing:
            raise self.failing

    def broken(self, by: Breaker) -> None:
        self.broken_by.append(by)

    def over(self, by: Breaker | None) -> None:
        self.freed.append(by)

    async def run(self, until: int | None = None, largest: int | None = None) -> bytes:
        async with aclosing(relayed(self.flow, Skimmer(), self, self.over, largest=largest)) as pieces:
            async for piece in pieces:
                self.out.append(piece)
                if len(self.out) == until:
                    break
        return b"".join(self.out)


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ((ONE, TWO, LAST, DONE), ONE + TWO + LAST + DONE),
        ((ONE + TWO + LAST + DONE,), ONE + TWO + LAST + DONE),
        ((ONE[:5], ONE[5:] + TWO, LAST + DONE[:6], DONE[6:]), ONE + TWO + LAST + DONE),
        ((ONE, b"", LAST + DONE), ONE + PING + LAST + DONE),
        ((ONE[:5], b"", ONE[5:], LAST + DONE), PING + ONE + LAST + DONE),
        ((ONE, LAST), ONE + LAST + DONE),
        ((ONE, LAST + DONE.rstrip()), ONE + LAST + DONE),
        ((ONE, LAST.rstrip()), ONE + LAST + DONE),
        ((ONE + DONE + TWO,), ONE + DONE),
        ((ONE, DONE, DROPPED), ONE + DONE),
        ((ONE.replace(b"\n", b"\r\n"), b"data: [DONE]\r\n\r\n"), ONE.replace(b"\n", b"\r\n") + DONE),
    ],
)
async def test_a_whole_answer_ends_with_done(pieces: tuple[bytes | Exception, ...], told: bytes) -> None:
    scene = Scene(*pieces)

    assert await scene.run() == told
    assert (scene.completed, scene.broken_by, scene.freed, scene.flow.closed) == (1, [], [None], True)


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ((ONE, DROPPED), ONE),
        ((ONE + TWO[:9], DROPPED), ONE),
        ((ONE,), ONE),
        ((ONE + TWO[:9],), ONE),
        ((ONE, b'data: {"choices":[{"finish_reason": "sto'), ONE),
        ((), b""),
    ],
)
async def test_an_engine_that_breaks_off_is_told_as_such(pieces: tuple[bytes | Exception, ...], told: bytes) -> None:
    scene = Scene(*pieces)
    with pytest.raises(EngineBroke):
        await scene.run()

    assert b"".join(scene.out) == told
    assert (scene.completed, scene.broken_by, scene.freed, scene.flow.closed) == (0, ["engine"], ["engine"], True)


async def test_a_silent_engine_keeps_its_own_error() -> None:
    with pytest.raises(UpstreamTimeout):
        await Scene(ONE, UpstreamTimeout("silent")).run()


async def test_an_error_told_by_the_engine_is_the_last_frame() -> None:
    error = b'data: {"error": {"message": "out of memory"}}\n\n'
    scene = Scene(ONE, error, DONE)

    assert await scene.run() == ONE + error
    assert (scene.completed, scene.broken_by) == (0, ["engine"])


async def test_a_client_that_leaves_leaves_the_engine_too() -> None:
    scene = Scene(ONE, TWO, LAST, DONE)
    await scene.run(until=2)

    assert (scene.completed, scene.broken_by, scene.freed, scene.flow.closed) == (0, ["client"], ["client"], True)


@pytest.mark.parametrize(
    ("failing", "by"),
    [
        (StoreUnavailable("away"), "store"),
        (UpstreamError("session-store answered something else"), "store"),
        (asyncio.CancelledError(), "client"),
    ],
)
async def test_a_turn_that_cannot_be_stored_has_no_done(failing: BaseException, by: Breaker) -> None:
    scene = Scene(ONE, LAST, DONE, failing=failing)
    with pytest.raises(type(failing)):
        await scene.run()

    assert (b"".join(scene.out), scene.broken_by) == (ONE + LAST, [by])


async def test_the_connection_may_be_used_again() -> None:
    scene = Scene(ONE, LAST, DONE)
    await scene.run()

    assert scene.flow.finished


async def test_what_is_kept_of_a_stream_has_a_bound() -> None:
    told = ONE + TWO + LAST + DONE
    assert await Scene(ONE, TWO, LAST, DONE).run(largest=len(told)) == told

    scene = Scene(ONE, TWO, LAST, DONE)
    with pytest.raises(AnswerTooLarge):
        await scene.run(largest=len(told) - len(DONE) - 1)

    assert b"".join(scene.out) == ONE + TWO
    assert (scene.completed, scene.broken_by, scene.freed, scene.flow.closed) == (0, ["engine"], ["engine"], True)


async def test_a_frame_without_end_is_given_up() -> None:
    scene = Scene(*(json.dumps({"x": "y" * 1_000_000}).encode() for _ in range(20)))
    with pytest.raises(EngineBroke, match="cannot be read"):
        await scene.run()
