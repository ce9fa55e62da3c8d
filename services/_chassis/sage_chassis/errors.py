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
"""What Litestar calls a request's body; of one that is missing it says no more than this name, in quotes."""


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
            told = _complaint(error)
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


def _complaint(error: HTTPException) -> InvalidRequest:
    """What is wrong, in the caller's words."""
    found = [item for item in error.extra if isinstance(item, dict)] if isinstance(error.extra, list) else []
    if not isinstance(error, ValidationException) or not found:
        return InvalidRequest(error.detail)
    told = []
    for item in found:
        field, message = str(item.get("key", _BODY)), str(item.get("message", ""))
        message = "it is empty" if message == repr(_BODY) else message
        told.append(f"{'the body' if field == _BODY else field}: {message}")
    named = str(found[0].get("key", _BODY))
    return InvalidRequest("; ".join(told), param=None if named == _BODY else named)
