"""A tiny service of the tests' own, built as every service is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from dataclasses import dataclass, field

from litestar import Litestar, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from msgspec import Struct
from prometheus_client import CollectorRegistry

from sage_chassis import app, logs, sse
from sage_chassis.health import Health
from sage_contracts.call import Call, Empty
from sage_contracts.errors import BodyTooLarge, EngineBroke, NoEngineAvailable


class Note(Struct, frozen=True, kw_only=True):
    text: str
    count: int = 0


class Told(Struct, frozen=True, kw_only=True):
    request_id: str | None


ECHO = Call("POST", "/notes/{name}", Note, Note)
FAIL = Call("GET", "/fail/{kind}", Empty, Note)
WRONG = Call("GET", "/wrong", Empty, Note)
SLOW = Call("GET", "/slow", Empty, Note)
ID = Call("GET", "/id", Empty, Told)


@dataclass
class Desk:
    """What the routes need: here, only whether a stream was left by its client."""

    left: asyncio.Event = field(default_factory=asyncio.Event)
    finish: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Parts:
    health: Health
    desk: Desk


@post(ECHO.route, status_code=ECHO.status)
async def echo(name: FromPath[str], data: JSONBody[Note]) -> Note:
    if name == "large":
        raise BodyTooLarge("too large for somebody further on")
    return data


@get(FAIL.route, sync_to_thread=False)
def fail(kind: FromPath[str]) -> Note:
    if kind == "busy":
        raise NoEngineAvailable("nobody here", param="model", retry_after=1.2)
    if kind == "broke":
        raise EngineBroke("it broke")
    raise RuntimeError("a bug with a secret in it")


@get(WRONG.route, sync_to_thread=False)
def wrong() -> Response[bytes]:
    return Response(b"<html>", headers={"content-type": "text/html"})


@get(SLOW.route)
async def slow(desk: NamedDependency[Desk]) -> Note:
    await desk.finish.wait()
    return Note(text="at last")


@get(ID.route, sync_to_thread=False)
def told_id() -> Told:
    return Told(request_id=logs.request_id.get())


@get("/stream/{kind:str}")
async def stream(kind: FromPath[str], desk: NamedDependency[Desk]) -> Stream:
    async def frames() -> AsyncGenerator[bytes]:
        try:
            yield b"data: 1\n\n"
            if kind == "broke":
                raise EngineBroke("it broke")
            if kind == "bug":
                raise RuntimeError("a bug with a secret in it")
            await desk.finish.wait()
            yield b"data: 2\n\n"
        finally:
            desk.left.set()

    return Stream(sse.told(sse.with_pings(frames(), every=0.05)), media_type="text/event-stream", headers=sse.HEADERS)


def create_app(desk: Desk | None = None, health: Health | None = None) -> Litestar:
    return app.build(
        "notes",
        routes=[echo, fail, wrong, slow, told_id, stream],
        parts=nullcontext(Parts(health or Health("notes"), desk or Desk())),
        kind=Parts,
        registry=CollectorRegistry(),
    )
