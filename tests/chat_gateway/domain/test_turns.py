import asyncio

import pytest

from chat_gateway.domain.reading import Transcript
from chat_gateway.domain.turns import Commits, OpenTurn, Turns
from sage_contracts.errors import InvalidRequest, StoreUnavailable
from tests.chat_gateway.domain.doubles import MemoryHistory

QUESTION = {"role": "user", "content": "why?"}


def said(text: str = "because", finish: str | None = "stop") -> Transcript:
    transcript = Transcript()
    transcript.read({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})
    return transcript


async def open_turn(history: MemoryHistory) -> tuple[OpenTurn, Commits]:
    commits = Commits(history)
    return await Turns(commits).open("s", [QUESTION], None), commits


async def test_a_turn_is_stored_whole() -> None:
    history = MemoryHistory()
    turn, _ = await open_turn(history)
    await turn.commit(said(), {"model": "m"})

    assert [(one.role, one.content) for one in history.turns[0].messages] == [
        ("user", "why?"),
        ("assistant", "because"),
    ]
    assert history.turns[0].messages[1].metadata == {"model": "m", "finish_reason": "stop"}


async def test_a_commit_outlives_the_request_that_began_it() -> None:
    history = MemoryHistory()
    history.gate.clear()
    turn, commits = await open_turn(history)
    committing = asyncio.create_task(turn.commit(said(), {}))
    await asyncio.sleep(0)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    turn.abandon(said(), {})
    history.gate.set()
    await commits.settled()

    assert len(history.turns) == 1


async def test_what_an_interrupted_answer_said_is_kept() -> None:
    history = MemoryHistory()
    turn, commits = await open_turn(history)
    transcript = said("beca", None)
    transcript.read({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}}]})
    turn.abandon(transcript, {})
    await commits.settled()

    answer = history.turns[0].messages[-1]
    assert (answer.content, answer.metadata) == ("beca", {"finish_reason": "interrupted"})
    assert not answer.tool_calls


async def test_an_answer_that_said_nothing_leaves_nothing() -> None:
    history = MemoryHistory()
    turn, commits = await open_turn(history)
    turn.abandon(Transcript(), {})
    await commits.settled()

    assert history.turns == []


async def test_a_store_that_is_away_is_told_before_and_after() -> None:
    history = MemoryHistory()
    turn, commits = await open_turn(history)
    history.failing = StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await turn.commit(said(), {})
    with pytest.raises(StoreUnavailable):
        await Turns(commits).open("s", [QUESTION], None)


async def test_a_message_that_cannot_be_stored_is_refused_before_the_store_is_asked() -> None:
    with pytest.raises(InvalidRequest):
        await Turns(Commits(MemoryHistory(failing=StoreUnavailable("away")))).open("s", [{"role": "robot"}], None)
