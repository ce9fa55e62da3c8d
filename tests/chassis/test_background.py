"""A loop beside the requests never dies unseen."""

import asyncio
import logging

import pytest

from sage_chassis import background


@pytest.mark.slow
async def test_a_loop_that_fails_is_logged_and_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    again = asyncio.Event()
    runs = 0

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise RuntimeError("boom")
        again.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR):
        async with background.running(loop), asyncio.timeout(30):
            await again.wait()

    assert "loop failed" in caplog.text


async def test_loops_end_with_the_block() -> None:
    ended = asyncio.Event()

    async def loop() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background.running(loop):
        await asyncio.sleep(0)

    assert ended.is_set()


@pytest.mark.slow
async def test_a_loop_that_swallows_a_cancellation_ends_all_the_same() -> None:
    """As asyncio.wait_for does before Python 3.12 when its inside is done in the same moment."""
    swallowed = asyncio.Event()

    async def loop() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(30), background.running(loop):
        await asyncio.sleep(0)

    assert swallowed.is_set()


async def test_an_action_is_repeated() -> None:
    thrice = asyncio.Event()
    runs = 0

    async def action() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            thrice.set()

    async with background.running(background.every(0.001, action)), asyncio.timeout(30):
        await thrice.wait()
