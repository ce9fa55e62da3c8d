"""What happens around every request: an id that crosses all hops, a count, a log line."""

import asyncio
import logging
import re
import time
import uuid
from contextlib import suppress
from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, ReceiveMessage, Scope, Send

from sage_chassis import logs
from sage_chassis.metrics import HTTPMetrics
from sage_contracts.names import REQUEST_ID_HEADER

log = logging.getLogger(__name__)

_HEADER = REQUEST_ID_HEADER.lower().encode()
_SAFE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
READ_OFF_BYTES = 64 * 1024 * 1024
READ_OFF_SECONDS = 30.0
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})


def observed(app: ASGIApp, metrics: HTTPMetrics) -> ASGIApp:
    """`app`, with each HTTP request given an id, counted and logged. A caller's own id is kept when it is harmless."""

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        method = str(scope["method"])
        current = _id_of(scope)
        token = logs.request_id.set(current)
        status = 0
        body = _Body(receive)

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    await body.read_off()
                kept = [(name, value) for name, value in message["headers"] if name.lower() != _HEADER]
                message["headers"] = [*kept, (_HEADER, current.encode())]
            await send(message)

        began = time.perf_counter()
        metrics.began()
        try:
            await app(scope, body.receive, sent)
        finally:
            seconds = time.perf_counter() - began
            route = str(scope.get("path_template") or "unknown")
            metrics.ended(method, route, status or 499, seconds)
            if route not in _QUIET:
                fields = {
                    "method": method,
                    "route": route,
                    "status": status or 499,
                    "seconds": round(seconds, 4),
                }
                log.info("request finished", extra=fields)
            logs.request_id.reset(token)

    return around


class _Body:
    """A request's body on its way to the app."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_over = False

    async def receive(self) -> ReceiveMessage:
        message: ReceiveMessage = await self._receive()
        self._is_over = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def read_off(self) -> None:
        """
        Read, within bounds, what is left of a refused body: closing on a client that still sends loses the answer.

        A body that the app has read has nothing left: waiting for more would be waiting for the client to leave.
        """
        left = READ_OFF_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_OFF_SECONDS):
                while left > 0 and not self._is_over:
                    message = await self.receive()
                    left -= len(message["body"]) if message["type"] == "http.request" else 0


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name.lower() == _HEADER and _SAFE.fullmatch(value):
            return value.decode("ascii")
    return uuid.uuid4().hex
