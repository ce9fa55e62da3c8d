"""The OpenAI-compatible surface, as far as the gateway reads it; what it does not read passes through as bytes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from sage_contracts.call import Call, Empty, Opaque
from sage_contracts.index import How, Source
from sage_contracts.sessions import NewSession, ReadQuery, Retitle, Retitled, Session, SessionCleared, SessionDeleted
from sage_contracts.turns import OnConflict


class Retrieval(Struct, frozen=True, kw_only=True):
    """How to ground an answer: `rag` in a chat request, when it is more than `true`."""

    collection: str | None = None
    top_k: Annotated[int, Meta(ge=1, le=50)] | None = None
    filters: dict[str, Any] | None = None


class ChatPeek(Struct, frozen=True, kw_only=True):
    """What the gateway reads of a chat request; all other fields are the engine's and stay as the client sent them."""

    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    session_id: str | None = None
    session_branch: str | None = None
    on_conflict: OnConflict | None = None
    rag: bool | Retrieval | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class ModelPeek(Struct, frozen=True, kw_only=True):
    """What the gateway reads of a pass-through request (`/v1/completions`, `/v1/embeddings`)."""

    model: str | None = None
    stream: bool | None = None


class Usage(Struct, frozen=True, kw_only=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Model(Struct, frozen=True, kw_only=True):
    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"


class ModelList(Struct, frozen=True, kw_only=True):
    data: list[Model]
    object: Literal["list"] = "list"


class Citation(Struct, frozen=True, kw_only=True):
    """
    A source as Azure-style UIs read it from `message.context.citations`; `lines` are first and last, both included.

    `GET /v1/retrieval/passages/{chunk_id}?collection=` opens it, later too.
    """

    content: str
    title: str
    url: str
    filepath: str
    chunk_id: str
    collection: str
    lines: tuple[int, int]
    page: int | UnsetType = UNSET


class URLCitation(Struct, frozen=True, kw_only=True):
    """Where in the answer a source is cited: characters `start_index` to `end_index` of the content."""

    url: str
    title: str
    start_index: int
    end_index: int


class Annotation(Struct, frozen=True, kw_only=True):
    url_citation: URLCitation
    type: Literal["url_citation"] = "url_citation"


class RankedPassage(Struct, frozen=True, kw_only=True):
    """A passage that was found. `number` is what it is cited by; null where the prompt had no room for it."""

    number: int | None
    id: str
    score: float
    source: Source
    meta: dict[str, Any] = {}


class Context(Struct, frozen=True, kw_only=True):
    """
    What stood behind a grounded answer. `evidence` is false when nothing was found; `reason` then says why.

    `how` tells how it was looked for, as the index tells it, and what was less than wanted. `passages` is all that was
    found, best first, where the request asked to be explained.
    """

    citations: list[Citation]
    evidence: bool
    reason: str | UnsetType = UNSET
    how: How | UnsetType = UNSET
    passages: list[RankedPassage] | UnsetType = UNSET


class SimpleMessage(Struct, frozen=True, kw_only=True):
    """The body of the earlier gateway's `POST /api/chat/message`."""

    message: Annotated[str, Meta(min_length=1)]
    session_id: str | None = None
    model: str | None = None
    stream: bool = False


class SimpleAnswer(Struct, frozen=True, kw_only=True):
    content: str
    session_id: str
    timestamp: datetime


class Considered(Struct, frozen=True, kw_only=True):
    """An engine of the model. `excluded` is why it could not be chosen, if so."""

    engine_id: str
    in_flight: int
    excluded: str | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    engine_id: str
    outcome: str
    seconds: float


class PromptTokens(Struct, frozen=True, kw_only=True):
    """What each part of a prompt takes, in tokens as estimated; `request` is what the client sent itself."""

    request: int
    history: int = 0
    memory: int = 0
    passages: int = 0


class RecalledItem(Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    score: float
    message_id: str | None = None


class PromptReceipt(Struct, frozen=True, kw_only=True):
    """
    What was put into a prompt beside what the client sent. `messages_dropped` of the history did not fit, or were left
    to memory. Of its hits the best are listed, twelve at most, and `more_memory` counted; the passages and their scores
    stand in the answer's `context`.
    """

    tokens: PromptTokens
    memory_backend: str | None = None
    messages_told: int = 0
    messages_dropped: int = 0
    memory: list[RecalledItem] = []
    more_memory: int = 0
    passages: int = 0


class Receipt(Struct, frozen=True, kw_only=True):
    """
    How a request's engine was chosen: the `X-Sage-Receipt` header, in JSON.

    `candidates` are as they were when the last attempt's engine was chosen, the first twelve of them. `prompt` is told
    of chats with a session or with retrieval.
    """

    model: str
    policy: str
    fleet_version: int | None
    engine_id: str | None
    candidates: list[Considered]
    more_candidates: int
    attempts: list[Attempt]
    waited_seconds: float
    prompt: PromptReceipt | UnsetType = UNSET


CHAT_COMPLETIONS = Call("POST", "/v1/chat/completions", Opaque, Opaque)
COMPLETIONS = Call("POST", "/v1/completions", Opaque, Opaque)
EMBEDDINGS = Call("POST", "/v1/embeddings", Opaque, Opaque)
MODELS = Call("GET", "/v1/models", Empty, ModelList)
MODEL = Call("GET", "/v1/models/{model_id}", Empty, Model, ends_in_path=True)
MESSAGE = Call("POST", "/api/chat/message", SimpleMessage, Opaque)
CHAT_SESSIONS = Call("GET", "/api/chat/sessions", Empty, Opaque)
CREATE_CHAT_SESSION = Call("POST", "/api/chat/sessions", NewSession, Session)
READ_CHAT_SESSION = Call("GET", "/api/chat/sessions/{session_id}", ReadQuery, Session)
DELETE_CHAT_SESSION = Call("DELETE", "/api/chat/sessions/{session_id}", Empty, SessionDeleted)
CLEAR_CHAT_SESSION = Call("POST", "/api/chat/sessions/{session_id}/clear", Empty, SessionCleared)
RETITLE_CHAT_SESSION = Call("PATCH", "/api/chat/sessions/{session_id}/title", Retitle, Retitled)
