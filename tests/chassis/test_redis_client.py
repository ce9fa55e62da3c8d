"""What counts as Redis being away."""

import asyncio
import time

import pytest

from sage_chassis.redis_client import BUDGET_SECONDS, reached
from sage_contracts.errors import StoreUnavailable

pytestmark = pytest.mark.slow


async def test_an_answer_that_does_not_come_is_waited_for_as_long_as_the_budget() -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        async with reached():
            await asyncio.Event().wait()

    assert time.monotonic() - began >= BUDGET_SECONDS - 0.01


async def test_a_machine_that_stands_still_does_not_make_redis_away() -> None:
    async with reached():
        await asyncio.sleep(0)
        time.sleep(BUDGET_SECONDS + 0.5)
        await asyncio.sleep(0.3)


async def test_who_leaves_while_it_is_waited_for_is_let_go() -> None:
    async def waiting() -> None:
        async with reached():
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
