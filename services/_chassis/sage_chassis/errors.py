"""The one place where an exception becomes an HTTP response."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from sage_contracts.errors import BodyTooLarge, ErrorBody, InvalidRequest, MethodNotAllowed, SageError, UnknownRoute
from sage_contracts.names import SHOULD_RETRY_HEADER

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]

_BODY = "data"
"""What Litestar calls a body as a whole; its message about one that is not there is this word, quoted."""


def on_sage_error(_: AnyRequest, error: SageError) -> Response[ErrorBody]:
    return Response(error.body(), status_code=error.status, headers=headers_of(error), media_type="application/json")


def on_framework_error(request: AnyRequest, error: HTTPException) -> Response[ErrorBody]:
    """Litestar's own refusals in our envelope; its 5xx are bugs of ours, not the client's fault."""
    match error.status_code:
        case status if status >= 500:
            return on_bug(request, error)
        case 404:
            told: SageError = UnknownRoute(f"no route {request.method} {request.url.path}")
        case 405:
            told = MethodNotAllowed(f"{request.method} is not allowed on {request.url.path}")
        case 413:
            told = BodyTooLarge("the request body is too large")
        case _:
            told = _refusal(error)
    response = on_sage_error(request, told)
    if told.status == 405 and error.headers:
        response.headers.update(error.headers)
    return response


def on_bug(request: AnyRequest, error: Exception) -> Response[ErrorBody]:
    log.error("request failed", exc_info=error, extra={"path": request.url.path, "error": type(error).__name__})
    return on_sage_error(request, SageError("internal error"))


def headers_of(error: SageError) -> Mapping[str, str]:
    """The error's own, `Retry-After` in whole seconds, and the SDKs' `x-should-retry` where a repeat cannot help."""
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if not error.may_retry:
        headers[SHOULD_RETRY_HEADER] = "false"
    return headers


HANDLERS: dict[int | type[Exception], Any] = {
    SageError: on_sage_error,
    HTTPException: on_framework_error,
    Exception: on_bug,
}


def _refusal(error: HTTPException) -> InvalidRequest:
    """Naming the first field that is wrong; a query's or a path's is told as a body's."""
    extra = error.extra if isinstance(error, ValidationException) and isinstance(error.extra, list) else []
    told = [(item.get("key"), item.get("message") or error.detail) for item in extra if isinstance(item, dict)]
    if not told:
        return InvalidRequest(error.detail)
    field, message = told[0]
    if message == repr(_BODY):
        return InvalidRequest("a JSON body is needed")
    if field in {None, _BODY}:
        return InvalidRequest(message)
    return InvalidRequest(f"{field}: {message}", param=field)
