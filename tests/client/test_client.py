"""The client for code without asyncio; it runs in threads here, since what it talks to runs in this loop."""

import asyncio
import threading
from concurrent.futures import CancelledError
from queue import Queue

import pytest

from sage_client.client import Client, Loop
from sage_client.failures import NoBackendAvailable
from tests.client.fleet import fleet
from tests.fakes.cluster import free_port
from tests.fakes.engine import Script, fake_engine, vector

HELLO = [{"role": "user", "content": "Hello"}]


def everything(url: str, *, direct: bool) -> list[object]:
    with Client(url, direct=direct) as client:
        return [
            client.chat(HELLO, model="tiny").text,
            "".join(frame.text for frame in client.stream_chat(HELLO, model="tiny")),
            client.completion("Hi", model="tiny").text,
            "".join(frame.text for frame in client.stream_completion("Hi", model="tiny")),
            client.embeddings("a", model="tiny").vectors,
            [one.id for one in client.models().data],
        ]


SAID = ["You said: Hello", "You said: Hello", "You said: Hi", "You said: Hi", [vector("a")], ["tiny"]]


async def test_it_does_what_the_other_does() -> None:
    async with fake_engine() as engine, fleet() as (told_by, _):
        assert await asyncio.to_thread(everything, engine.url, direct=False) == SAID
        assert await asyncio.to_thread(everything, told_by.url, direct=True) == SAID


async def test_leaving_a_stream_stops_the_engine() -> None:
    def leave(url: str) -> str:
        with Client(url) as client, client.stream_chat(HELLO) as stream:
            return next(stream).text

    async with fake_engine(script=Script(silent_after=1)) as engine:
        assert await asyncio.to_thread(leave, engine.url) == "You"
        await asyncio.wait_for(engine.left.wait(), 30)


async def test_several_threads_share_one() -> None:
    async with fake_engine() as engine:
        client = await asyncio.to_thread(Client, engine.url)
        answers = await asyncio.gather(*(asyncio.to_thread(client.chat, HELLO) for _ in range(8)))
        await asyncio.to_thread(client.close)
        await asyncio.to_thread(client.close)

    assert {answer.text for answer in answers} == {"You said: Hello"}


def test_a_thread_that_waits_is_let_go_when_another_closes_the_client() -> None:
    loop, outcomes = Loop(), Queue[str]()

    async def for_ever() -> None:
        outcomes.put("waiting")
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            loop.run(for_ever())
        except CancelledError:
            outcomes.put("let go")

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    begun = outcomes.get(timeout=30)
    loop.close()

    assert (begun, outcomes.get(timeout=30)) == ("waiting", "let go")
    thread.join()


def test_with_none_there_it_says_so_and_leaves_no_thread() -> None:
    with (
        Client(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(NoBackendAvailable, match="cannot be reached"),
    ):
        client.chat(HELLO)

    assert not [thread for thread in threading.enumerate() if thread.name == "sage-client"]
