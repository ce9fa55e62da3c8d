"""From a domain's reply to an HTTP response, for as long as the client is there."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from litestar import Response
from litestar.response import Stream
from litestar.types import Receive

from chat_gateway.domain.replies import Reply, StreamReply
from sage_chassis import sse
from sage_chassis.bodies import StrictRequest

CLIENT_GONE = 499
AnyResponse = Response[bytes] | Stream


async def responded(request: StrictRequest, answering: Coroutine[Any, Any, Reply]) -> AnyResponse:
    """
    The reply as a response. A client that leaves before it has begun cancels the work behind it.

    Litestar tells nobody that a client has left until a stream is under way; an engine would go on generating.
    """
    working = asyncio.ensure_future(answering)
    leaving = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return Response(b"", status_code=CLIENT_GONE)
        return _response(await working)
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})


def _response(reply: Reply) -> AnyResponse:
    if isinstance(reply, StreamReply):
        headers = {**sse.HEADERS, **reply.headers}
        return Stream(sse.told(reply.pieces), media_type="text/event-stream", headers=headers)
    headers = dict(reply.headers)
    if reply.answer.retry_after is not None and reply.answer.retry_after.isdecimal():
        headers["Retry-After"] = reply.answer.retry_after
    return Response(
        reply.answer.body,
        status_code=reply.answer.status,
        headers=headers,
        media_type=reply.answer.content_type,
    )


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
