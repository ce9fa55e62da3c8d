"""The first of those that wait in this process is woken, and nobody waits longer than asked."""

import asyncio

from session_store.domain.lines import Lines


async def test_the_first_in_line_is_woken_alone() -> None:
    lines = Lines()
    first = asyncio.create_task(lines.wait("place", "anna", 10))
    second = asyncio.create_task(lines.wait("place", "ben", 10))
    other = asyncio.create_task(lines.wait("elsewhere", "carl", 10))
    await asyncio.sleep(0)

    lines.wake("place")
    await asyncio.wait({first, second, other}, return_when=asyncio.FIRST_COMPLETED)

    assert (first.done(), second.done(), other.done()) == (True, False, False)
    lines.leave("place", "anna")
    lines.wake("place")
    await second
    other.cancel()


async def test_a_waiter_that_waits_again_keeps_its_rank() -> None:
    lines = Lines()
    await lines.wait("place", "anna", 0)
    second = asyncio.create_task(lines.wait("place", "ben", 10))
    first = asyncio.create_task(lines.wait("place", "anna", 10))
    await asyncio.sleep(0)

    lines.wake("place")
    await first

    assert not second.done()
    second.cancel()


async def test_who_is_woken_while_it_looks_does_not_wait() -> None:
    lines = Lines()
    await lines.wait("place", "anna", 0)
    lines.wake("place")

    async with asyncio.timeout(30):
        await lines.wait("place", "anna", 60)


async def test_nobody_waits_for_ever_and_nothing_is_left_of_them() -> None:
    lines = Lines()
    await lines.wait("place", "anna", 0.001)
    lines.leave("place", "anna")
    lines.leave("place", "anna")

    lines.wake("place")
