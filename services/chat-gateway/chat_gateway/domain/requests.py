"""A chat request as the gateway reads it, and the bytes an engine is sent."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import Struct

from chat_gateway.domain.turns import NO_WISH, TurnWish
from sage_contracts import names
from sage_contracts.chat import ChatPeek, Retrieval

OWN_FIELDS = ("session_id", "session_branch", "on_conflict", "rag")
"""Ours alone: no engine sees them."""

_SHAPES = (
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "grammar",
    "json_schema",
)
"""Beside OpenAI's `response_format`: how vLLM and llama.cpp are told what an answer must look like."""


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class _Peek(Struct, frozen=True):
    stream_options: _StreamOptions | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """`raw` is the body as the client wrote it; `refuses_retrieval` is an explicit `rag: false`."""

    raw: bytes
    messages: list[dict[str, Any]]
    model: str | None = None
    streamed: bool = False
    session_id: str | None = None
    retrieval: Retrieval | None = None
    refuses_retrieval: bool = False
    answer_tokens: int | None = None
    has_own_fields: bool = False
    explained: bool = False
    """Whether the client wants to be told how its engine was chosen."""
    shaped: bool = False
    """Whether the answer must have a form, as JSON of a schema: then nothing may be written into it."""
    turn: TurnWish = NO_WISH


def ask_of(
    raw: bytes,
    fields: dict[str, Any],
    peek: ChatPeek,
    header_session: str | None,
    *,
    explained: bool = False,
    key: str | None = None,
) -> Ask:
    """
    The body's session wins over the header's. Raises InvalidRequest for one that may not be a session's name.

    `key` is the request's Idempotency-Key, which counts for nothing without a session.
    """
    session = peek.session_id if peek.session_id is not None else header_session
    return Ask(
        raw=raw,
        messages=peek.messages,
        model=peek.model,
        streamed=bool(peek.stream),
        session_id=None if session is None else names.session_id(session),
        retrieval=_retrieval(peek.rag),
        refuses_retrieval=peek.rag is False,
        answer_tokens=peek.max_completion_tokens or peek.max_tokens,
        has_own_fields=any(name in fields for name in OWN_FIELDS),
        explained=explained,
        shaped=_is_shaped(fields),
        turn=NO_WISH if session is None else turn_wish(fields, key, peek),
    )


def turn_wish(fields: dict[str, Any], key: str | None, peek: ChatPeek | None = None) -> TurnWish:
    """Raises InvalidRequest for a key that cannot be one, and for a branch that none can be called."""
    branch = peek.session_branch if peek else None
    conflict = peek.on_conflict if peek else None
    return TurnWish(
        key=None if key is None else names.idempotency_key(key),
        digest=None if key is None else digest_of(fields),
        branch=None if branch is None else names.branch(branch, "session_branch"),
        on_conflict=conflict or "queue",
    )


def digest_of(fields: dict[str, Any]) -> str:
    """The same for bodies that say the same, however their JSON is written."""
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()


def without_retrieval(ask: Ask) -> Ask:
    return replace(ask, retrieval=None, refuses_retrieval=True)


def wants_usage(raw: bytes) -> bool:
    """Whether the client asks for the usage at the end of its stream."""
    try:
        options = msgspec.json.decode(raw, type=_Peek).stream_options
    except msgspec.ValidationError:
        return False
    return bool(options and options.include_usage)


def with_fields(raw: bytes, **changed: object) -> bytes:
    """The body without our own fields and with `changed` ones; every other value stays as its bytes are."""
    fields: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    kept = {name: value for name, value in fields.items() if name not in OWN_FIELDS}
    return msgspec.json.encode(kept | changed)


def _is_shaped(fields: dict[str, Any]) -> bool:
    match fields.get("response_format"):
        case {"type": str() as kind} if kind != "text":
            return True
    return any(fields.get(name) is not None for name in _SHAPES)


def _retrieval(rag: bool | Retrieval | None) -> Retrieval | None:  # noqa: FBT001 - as the wire has it
    if isinstance(rag, Retrieval):
        return rag
    return Retrieval() if rag else None
