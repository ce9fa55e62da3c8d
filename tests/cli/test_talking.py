"""Talking in the terminal, against a gateway that says what it is told to."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from sage_cli import api
from sage_cli.api import API
from sage_cli.failures import Failed
from sage_cli.talking import Conversation
from sage_contracts.errors import EngineBroke, SageError
from tests.fakes.cluster import free_port
from tests.fakes.front_door import listening


def frame(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


@asynccontextmanager
async def gateway(*pieces: bytes, status: int = 200, asked: list[Any] | None = None) -> AsyncGenerator[API]:
    async def answer(request: web.Request) -> web.StreamResponse:
        (asked if asked is not None else []).append(await request.json())
        response = web.StreamResponse(status=status, headers={"X-Session-Id": "given"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with listening(app) as port, api.connected(f"http://127.0.0.1:{port}/v1") as connection:
        yield connection


async def test_an_answer_is_printed_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    role = b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n'
    usage = b'data: {"choices":[],"usage":{"total_tokens":3}}\n\n'
    whole = role + b": ping\n\n" + frame("Gr\u00fc\u00df ") + frame("Gott") + usage + b"data: [DONE]\n\n"
    async with gateway(whole[:40], whole[40:97], whole[97:]) as connection:
        await Conversation(model="m", session=None).say(connection, "Hello")

    assert capsys.readouterr().out == "Gr\u00fc\u00df Gott\n"


async def test_the_next_question_goes_to_the_same_session() -> None:
    asked: list[Any] = []
    conversation = Conversation(model="m", session="mine")
    async with gateway(frame("x"), b"data: [DONE]\n\n", asked=asked) as connection:
        await conversation.say(connection, "one")
        await conversation.say(connection, "two")

    assert [(body["session_id"], body["messages"][0]["content"]) for body in asked] == [
        ("mine", "one"),
        ("given", "two"),
    ]


SOURCE = {
    "content": "Ada.",
    "title": "Harbour",
    "url": "harbour.md#master",
    "filepath": "harbour\x1b[2J.md",
    "chunk_id": "c1",
    "collection": "docs",
    "lines": [3, 5],
}


def grounded(*sources: object) -> bytes:
    choices = [{"delta": {"role": "assistant", "context": {"citations": sources, "evidence": True}}}]
    return b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n"


async def test_under_an_answer_stands_where_its_sources_are(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []
    paged = {**SOURCE, "filepath": "b.pdf", "page": 2}
    frames = (grounded(SOURCE, SOURCE, paged), frame("Ada [1](harbour.md#master)[3](b.pdf)."), b"data: [DONE]\n\n")
    async with gateway(*frames, asked=asked) as connection:
        said = await Conversation(model="m", session=None, collection="c").say(connection, "Who?")

    assert asked[0]["rag"] == {"collection": "c"}
    assert capsys.readouterr().err == "[1] harbour\ufffd[2J.md, lines 3 to 5\n[3] b.pdf, page 2, lines 3 to 5\n"
    assert [one.filepath for one in said.citations] == ["harbour\x1b[2J.md", "harbour\x1b[2J.md", "b.pdf"]


async def test_an_answer_without_sources_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    context = {"citations": [], "evidence": False, "reason": "there is no collection 'x\x1b[2J'"}
    nothing = b"data: " + json.dumps({"choices": [{"delta": {"context": context}}]}).encode() + b"\n\n"
    async with gateway(nothing, frame("Perhaps."), b"data: [DONE]\n\n") as connection:
        await Conversation(model="m", session=None, collection="x").say(connection, "Who?")

    assert capsys.readouterr() == ("Perhaps.\n", "without sources: there is no collection 'x\ufffd[2J'\n")


async def test_sources_told_in_unknown_words_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with gateway(grounded({"name": "x"}), frame("Ada [1](x)."), b"data: [DONE]\n\n") as connection:
        await Conversation(model="m", session=None).say(connection, "Who?")

    assert capsys.readouterr() == ("Ada [1](x).\n", "")


async def test_a_terminal_obeys_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    async with gateway(frame("a\x1b]0;PWNED\x07b\r\n\tc"), b"data: [DONE]\n\n") as connection:
        await Conversation(model="m", session=None).say(connection, "Hello")

    assert capsys.readouterr().out == "a\ufffd]0;PWNED\ufffdb\n\tc\n"


async def test_an_answer_that_breaks_off_is_a_failure() -> None:
    broken = b'data: {"error":{"message":"the engine stopped","type":"server_error"}}\n\n'
    async with gateway(frame("half an "), broken) as connection:
        with pytest.raises(EngineBroke, match="the engine stopped"):
            await Conversation(model="m", session=None).say(connection, "Hello")


@pytest.mark.parametrize(
    ("body", "told"),
    [(b'{"error":{"message":"no such model","type":"x"}}', "no such model"), (b"<html>", "answered 404")],
)
async def test_a_refusal_is_told_in_the_gateways_words(body: bytes, told: str) -> None:
    async with gateway(body, status=404) as connection:
        with pytest.raises(SageError, match=told):
            await Conversation(model="m", session=None).say(connection, "Hello")


def test_a_gateway_that_is_away_says_what_to_run() -> None:
    conversation = Conversation(model="m", session=None)

    with pytest.raises(Failed, match="run `sage gateway start` first"):
        api.ask(f"http://127.0.0.1:{free_port()}", lambda connection: conversation.say(connection, "Hello"))


@pytest.mark.parametrize("given", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_an_address_is_taken_with_or_without_the_v1_of_openai_clients(given: str) -> None:
    assert api.address(given) == "http://h:1"
