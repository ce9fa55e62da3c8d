"""From a domain's reply to an HTTP response, for as long as the client is there."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Any, TypeVar

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from chat_gateway.domain.replies import Reply, StreamReply, WholeReply
from sage_chassis import sse
from sage_chassis.bodies import StrictRequest
from sage_contracts.names import EXPLAIN_HEADER

T = TypeVar("T")

CLIENT_GONE = 499


def is_explained(request: StrictRequest) -> bool:
    """Whether the client asks to be told how its engine was chosen."""
    return request.headers.get(EXPLAIN_HEADER, "").lower() in {"1", "true"}


class ClientGone(Exception):
    """Nobody is left to answer."""


async def responded(request: StrictRequest, answering: Coroutine[Any, Any, Reply]) -> ASGIResponse:
    """
    The reply as a response. A client that leaves before it has begun cancels the work behind it.

    Litestar tells nobody that a client has left until a stream is under way; an engine would go on generating.
    """
    try:
        reply = await while_there(request.receive, answering)
    except ClientGone:
        return ASGIResponse(status_code=CLIENT_GONE)
    if isinstance(reply, StreamReply):
        return RelayResponse(sse.told(reply.pieces), {**sse.HEADERS, **reply.headers})
    return _whole(reply)


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; raises ClientGone, with the work cancelled and over, when the client leaves before."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait({working, leaving})


class RelayResponse(ASGIResponse):
    """
    A stream that is closed whatever happens.

    Litestar's own leaves the generator to the garbage collector when the client goes while a piece is being sent, and
    the engine would go on until then.
    """

    _should_set_content_length = False

    def __init__(self, pieces: AsyncGenerator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(media_type="text/event-stream", headers=dict(headers))
        self._pieces = pieces

    async def send_body(self, send: Send, receive: Receive) -> None:
        try:
            await while_there(receive, self._sent(send))
        except ClientGone:
            return
        finally:
            await self._pieces.aclose()

    async def _sent(self, send: Send) -> None:
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _whole(reply: WholeReply) -> ASGIResponse:
    headers = dict(reply.headers)
    after = reply.answer.retry_after
    if after is not None and after.isascii() and after.isdecimal():
        headers["Retry-After"] = after
    return ASGIResponse(
        body=reply.answer.body,
        status_code=reply.answer.status,
        headers=headers,
        media_type=reply.answer.content_type,
    )


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
