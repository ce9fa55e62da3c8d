"""Lines: in order, bounded, and left at once."""

import asyncio

import pytest

from chat_gateway.domain.waiting import LineFull, Lines, WaitedTooLong


class Counter:
    """Gives `places` away, one at a time, to who asks by name."""

    def __init__(self, longest: int = 100, seconds: float = 5.0) -> None:
        self.lines = Lines(longest=longest, seconds=seconds)
        self.places = 0
        self.served: list[str] = []

    def start(self, name: str, *, choosy: bool = False, model: str = "m") -> "asyncio.Task[str]":
        def attempt() -> str | None:
            if not self.places or (choosy and self.places < 10):
                return None
            self.places -= 1
            self.served.append(name)
            return name

        return asyncio.create_task(self.lines.served(("llm", model), attempt, is_choosy=choosy))

    async def free(self, places: int) -> None:
        self.places += places
        self.lines.wake()
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_came_first_is_served_first() -> None:
    counter = Counter()
    tasks = [counter.start(name) for name in "abcde"]
    await settle()
    await counter.free(2)
    some = list(counter.served)
    await counter.free(3)
    await asyncio.gather(*tasks)

    assert (some, counter.served) == (["a", "b"], list("abcde"))
    assert counter.lines.length(("llm", "m")) == 0


async def test_one_more_than_may_wait_is_told_at_once() -> None:
    counter = Counter(longest=2)
    tasks = [counter.start(name) for name in "ab"]
    await settle()
    with pytest.raises(LineFull):
        await counter.start("c")
    await counter.free(2)

    assert await asyncio.gather(*tasks) == ["a", "b"]


async def test_nobody_waits_for_ever() -> None:
    counter = Counter(seconds=0.05)
    with pytest.raises(WaitedTooLong):
        await counter.start("a")

    assert counter.lines.length(("llm", "m")) == 0


async def test_who_leaves_is_out_of_the_line_at_once_and_the_next_moves_up() -> None:
    counter = Counter()
    tasks = {name: counter.start(name) for name in "abcd"}
    await settle()
    tasks["a"].cancel()
    tasks["c"].cancel()
    await settle()
    waiting = counter.lines.length(("llm", "m"))
    await counter.free(2)

    assert (waiting, counter.served) == (2, ["b", "d"])


async def test_who_leaves_when_it_is_its_turn_passes_it_on() -> None:
    counter = Counter()
    tasks = {name: counter.start(name) for name in "ab"}
    await settle()
    counter.places = 1
    counter.lines.wake()
    tasks["a"].cancel()
    await settle()

    assert counter.served == ["b"]


async def test_what_is_free_but_not_for_the_first_is_for_the_next() -> None:
    counter = Counter()
    tasks = {"a": counter.start("a", choosy=True), "b": counter.start("b")}
    await settle()
    await counter.free(1)
    served = list(counter.served)
    tasks["a"].cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)

    assert served == ["b"]


async def test_all_that_is_free_but_not_for_the_first_is_for_those_behind_it() -> None:
    counter = Counter()
    tasks = [counter.start("a", choosy=True), *(counter.start(name) for name in "bcd")]
    await settle()
    await counter.free(2)
    served = list(counter.served)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert served == ["b", "c"]


async def test_lines_for_the_same_engine_take_turns() -> None:
    counter = Counter()
    tasks = [counter.start(name, model=model) for model in ("m", "alias") for name in (f"{model}1", f"{model}2")]
    await settle()
    for _ in tasks:
        await counter.free(1)
    await asyncio.gather(*tasks)

    assert counter.served == ["m1", "alias1", "m2", "alias2"]
