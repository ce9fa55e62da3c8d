"""How an engine's own refusal is told to the client."""

import msgspec

from chat_gateway.domain.ports import Whole
from sage_contracts.errors import ErrorBody, ErrorDetail, UpstreamError

_SHOWN = 500
JSON = "application/json"


def passed_on(answer: Whole) -> Whole:
    """
    A good answer as it is; a 4xx with its own status and message, in the OpenAI envelope.

    Raises UpstreamError for what is not the client's fault: a 5xx, a redirect, and 401 or 403, which are about the
    gateway's credentials and may quote them.
    """
    if 200 <= answer.status < 300:
        return answer
    if answer.status in {401, 403}:
        raise UpstreamError(f"the engine refused the gateway's credentials ({answer.status})")
    if not 400 <= answer.status < 500:
        raise UpstreamError(f"the engine answered {answer.status}: {message_of(answer.body)}")
    if _is_envelope(answer.body):
        return Whole(answer.status, JSON, answer.body, answer.retry_after)
    detail = ErrorDetail(
        message=message_of(answer.body) or f"the engine answered {answer.status}",
        type="rate_limit_error" if answer.status == 429 else "invalid_request_error",
        code="rate_limit_exceeded" if answer.status == 429 else "engine_refused",
    )
    return Whole(answer.status, JSON, msgspec.json.encode(ErrorBody(error=detail)), answer.retry_after)


class _Loose(msgspec.Struct):
    """Where servers put their message: FastAPI `detail`, others `message`, Ollama a bare string as `error`."""

    detail: object = None
    message: object = None
    error: object = None


class _Envelope(msgspec.Struct):
    class Detail(msgspec.Struct):
        message: str

    error: Detail


def _is_envelope(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def message_of(body: bytes) -> str:
    """What a human would read of a refusal, cut to a sentence or two."""
    try:
        found = msgspec.json.decode(body, type=_Loose)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace").strip()[:_SHOWN]
    for told in (found.detail, found.message, found.error):
        match told:
            case str():
                return told[:_SHOWN]
            case {"message": str(message)}:
                return message[:_SHOWN]
            case None:
                continue
            case _:
                return msgspec.json.encode(told).decode()[:_SHOWN]
    return body.decode("utf-8", "replace").strip()[:_SHOWN]
