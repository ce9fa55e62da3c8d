"""What happens around every request: an id that crosses all hops, a count, a log line."""

import logging
import re
import time
import uuid
from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from sage_chassis import logs
from sage_chassis.metrics import HTTPMetrics
from sage_contracts.names import REQUEST_ID_HEADER

log = logging.getLogger(__name__)

_HEADER = REQUEST_ID_HEADER.lower().encode()
_SAFE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
READ_OFF_BYTES = 64 * 1024 * 1024
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

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    await _read_off(receive)
                kept = [(name, value) for name, value in message["headers"] if name.lower() != _HEADER]
                message["headers"] = [*kept, (_HEADER, current.encode())]
            await send(message)

        began = time.perf_counter()
        metrics.began()
        try:
            await app(scope, receive, sent)
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


async def _read_off(receive: Receive) -> None:
    """Read, within a bound, what is left of a refused body: closing on a client that still sends loses the answer."""
    left = READ_OFF_BYTES
    while left > 0:
        message = await receive()
        if message["type"] != "http.request":
            return
        left -= len(message["body"])
        if not message["more_body"]:
            return


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name.lower() == _HEADER and _SAFE.fullmatch(value):
            return value.decode("ascii")
    return uuid.uuid4().hex
