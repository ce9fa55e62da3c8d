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
