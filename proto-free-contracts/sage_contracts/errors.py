"""
Every error a SAGE service may raise across a process boundary.

* SageError                500  internal_error
  * InvalidRequest         400  invalid_request
    * BodyTooLarge         413  body_too_large
    * MethodNotAllowed     405  method_not_allowed
    * PresetNotFound       400  preset_not_found
    * AddressRefused       400  address_refused
    * EngineUnreachable    400  engine_unreachable
    * SourceRefused        400  source_refused
    * IdempotencyKeyReused 422  idempotency_key_reused
  * ForeignOrigin          403  foreign_origin
  * Unauthenticated        401  invalid_api_key
  * NotFound               404  not_found
    * ModelNotFound        404  model_not_found
    * SessionNotFound      404  session_not_found
    * MessageNotFound      404  message_not_found
    * BranchNotFound       404  branch_not_found
    * MemoryItemNotFound   404  memory_item_not_found
    * CollectionNotFound   404  collection_not_found
    * DocumentNotFound     404  document_not_found
    * PassageNotFound      404  passage_not_found
    * EngineNotFound       404  engine_not_found
    * UnknownRoute         404  unknown_route
  * Conflict               409  conflict
    * EngineIdTaken        409  engine_id_taken
    * SessionBusy          409  session_busy
    * TurnLost             409  turn_lost
    * SessionExists        409  session_exists
    * BranchExists         409  branch_exists
    * BuildRunning         409  build_running
    * NoEarlierIndex       409  no_earlier_index
    * IndexMismatch        409  index_mismatch
  * RateLimited            429  rate_limit_exceeded
    * EnginesBusy          429  engines_busy
  * UpstreamError          502  upstream_error
    * EngineBroke          502  engine_broke_off
    * AnswerTooLarge       502  answer_too_large
    * UpstreamTimeout      504  upstream_timeout
      * ConnectTimeout     504  connect_timeout
      * FirstByteTimeout   504  first_byte_timeout
      * IdleTimeout        504  idle_timeout
      * RequestTimeout     504  request_timeout
  * Unavailable            503  unavailable
    * NoEngineAvailable    503  no_engine_available
    * StoreUnavailable     503  store_unavailable
      * StoreFull          503  store_full
    * EncoderAway          503  encoder_away
    * ServiceUnavailable   503  service_unavailable
"""

from typing import ClassVar

from msgspec import Struct


class ErrorDetail(Struct, frozen=True, kw_only=True):
    """The `error` object of an OpenAI-compatible error body."""

    message: str
    type: str
    code: str | None = None
    param: str | None = None


class ErrorBody(Struct, frozen=True, kw_only=True):
    """The body of every non-2xx response."""

    error: ErrorDetail


class SageError(Exception):
    """
    Base of all errors with a meaning on the wire.

    `retry_after` is in seconds, sent as `Retry-After`. `may_retry = False` says that a repeat is useless or unsafe and
    is sent as `x-should-retry: false`, which the OpenAI SDKs obey. `headers` are sent with it by who answers a client.
    """

    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    may_retry: ClassVar[bool] = True

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.headers: dict[str, str] = {}

    def body(self) -> ErrorBody:
        return ErrorBody(error=ErrorDetail(message=self.message, type=self.type, code=self.code, param=self.param))


class InvalidRequest(SageError):
    code, type, status = "invalid_request", "invalid_request_error", 400


class BodyTooLarge(InvalidRequest):
    code, status = "body_too_large", 413


class MethodNotAllowed(InvalidRequest):
    code, status = "method_not_allowed", 405


class PresetNotFound(InvalidRequest):
    """The named preset is not one the operator wrote."""

    code = "preset_not_found"


class AddressRefused(InvalidRequest):
    """An engine at this address may not be registered or connected to."""

    code = "address_refused"


class EngineUnreachable(InvalidRequest):
    """Nothing that speaks like an engine answers at the address given."""

    code = "engine_unreachable"


class SourceRefused(InvalidRequest):
    """This folder may not be indexed: it is outside every allowed root, or cannot be read."""

    code = "source_refused"


class IdempotencyKeyReused(InvalidRequest):
    """The key belongs to another request's body: it names one request for good."""

    code, status = "idempotency_key_reused", 422
    may_retry = False


class ForeignOrigin(SageError):
    """A page of another site asked, through its visitor's browser: loopback needs no key, so it is refused."""

    code, type, status = "foreign_origin", "invalid_request_error", 403
    may_retry = False


class Unauthenticated(SageError):
    code, type, status = "invalid_api_key", "invalid_request_error", 401


class NotFound(SageError):
    code, type, status = "not_found", "invalid_request_error", 404


class ModelNotFound(NotFound):
    code = "model_not_found"


class SessionNotFound(NotFound):
    code = "session_not_found"


class MessageNotFound(NotFound):
    code = "message_not_found"


class BranchNotFound(NotFound):
    code = "branch_not_found"


class MemoryItemNotFound(NotFound):
    code = "memory_item_not_found"


class CollectionNotFound(NotFound):
    code = "collection_not_found"


class DocumentNotFound(NotFound):
    code = "document_not_found"


class PassageNotFound(NotFound):
    """No passage of this id is in the index any more: its text has changed, or is gone."""

    code = "passage_not_found"


class EngineNotFound(NotFound):
    code = "engine_not_found"


class UnknownRoute(NotFound):
    """No such path: a caller that meets this is talking to the wrong service or version."""

    code = "unknown_route"


class Conflict(SageError):
    code, type, status = "conflict", "invalid_request_error", 409
    may_retry = False


class EngineIdTaken(Conflict):
    """The id belongs to an engine at another address."""

    code = "engine_id_taken"


class SessionBusy(Conflict):
    """Another turn of this session is under way; the message says whose and since when."""

    code = "session_busy"


class TurnLost(Conflict):
    """The session has gone on without this turn, which took too long: what it answered is not stored."""

    code = "turn_lost"


class SessionExists(Conflict):
    code = "session_exists"


class BranchExists(Conflict):
    code = "branch_exists"


class NoEarlierIndex(Conflict):
    """There is no version before the one that is served, so that nothing can be rolled back to."""

    code = "no_earlier_index"


class IndexMismatch(Conflict):
    """The index was made by another encoder: its vectors cannot be compared with this one's. Build it anew."""

    code = "index_mismatch"


class BuildRunning(Conflict):
    """A build of this collection is under way; only one runs at a time."""

    code = "build_running"


class RateLimited(SageError):
    code, type, status = "rate_limit_exceeded", "rate_limit_error", 429


class EnginesBusy(RateLimited):
    """Every engine of the model is at its limit, and so is the line before them."""

    code = "engines_busy"


class UpstreamError(SageError):
    """An engine or a service answered something unusable. What is safe to retry has been retried already."""

    code, type, status = "upstream_error", "server_error", 502
    may_retry = False


class EngineBroke(UpstreamError):
    """The engine stopped in the middle of its answer."""

    code = "engine_broke_off"


class AnswerTooLarge(UpstreamError):
    """The engine's answer is larger than the gateway holds; it was left in the middle of it."""

    code = "answer_too_large"


class UpstreamTimeout(UpstreamError):
    code, status = "upstream_timeout", 504


class ConnectTimeout(UpstreamTimeout):
    """No connection in time: the engine has not seen the request, so that a repeat is safe."""

    code = "connect_timeout"
    may_retry = True


class FirstByteTimeout(UpstreamTimeout):
    """The engine took the request and did not begin to answer in time."""

    code = "first_byte_timeout"


class IdleTimeout(UpstreamTimeout):
    """The engine paused for too long in the middle of its answer."""

    code = "idle_timeout"


class RequestTimeout(UpstreamTimeout):
    """The answer as a whole took too long."""

    code = "request_timeout"


class Unavailable(SageError):
    code, type, status = "unavailable", "server_error", 503


class NoEngineAvailable(Unavailable):
    """No engine can take this request now; the message says what to run."""

    code = "no_engine_available"


class StoreUnavailable(Unavailable):
    """Redis or Qdrant is away."""

    code = "store_unavailable"


class StoreFull(StoreUnavailable):
    """The store's disk or memory is full: it can be read, and takes nothing new. Nothing was half written."""

    code = "store_full"


class EncoderAway(Unavailable):
    """The encoder that makes vectors of texts is away or refused; what it was needed for can be asked again."""

    code = "encoder_away"


class ServiceUnavailable(Unavailable):
    """Another SAGE service is away."""

    code = "service_unavailable"


def from_body(status: int, body: ErrorBody, *, retry_after: float | None = None) -> SageError:
    """Rebuild, in the caller's process, the error the callee raised; an unknown code becomes its status's class."""
    kind = tree().get(body.error.code or "") or _of_status(status)
    return kind(body.error.message, param=body.error.param, retry_after=retry_after)


def tree() -> dict[str, type[SageError]]:
    """Every error class by its code."""
    found: dict[str, type[SageError]] = {}
    todo: list[type[SageError]] = [SageError]
    while todo:
        kind = todo.pop()
        found[kind.code] = kind
        todo += kind.__subclasses__()
    return found


def _of_status(status: int) -> type[SageError]:
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    return InvalidRequest if 400 <= status < 500 else UpstreamError


_BY_STATUS: dict[int, type[SageError]] = {
    401: Unauthenticated,
    403: Unauthenticated,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
    503: Unavailable,
}
