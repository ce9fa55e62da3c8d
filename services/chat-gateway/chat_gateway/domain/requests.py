"""A chat request as the gateway reads it, and the bytes an engine is sent."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sage_contracts import names
from sage_contracts.chat import ChatPeek, Retrieval

OWN_FIELDS = ("session_id", "rag")
"""Ours alone: no engine sees them."""


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


def ask_of(
    raw: bytes, fields: dict[str, Any], peek: ChatPeek, header_session: str | None, *, explained: bool = False
) -> Ask:
    """The body's session wins over the header's. Raises InvalidRequest for one that may not be a session's name."""
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
    )


def without_retrieval(ask: Ask) -> Ask:
    return replace(ask, retrieval=None, refuses_retrieval=True)


def with_fields(raw: bytes, **changed: object) -> bytes:
    """The body without our own fields and with `changed` ones; every other value stays as its bytes are."""
    fields: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    kept = {name: value for name, value in fields.items() if name not in OWN_FIELDS}
    return msgspec.json.encode(kept | changed)


def _retrieval(rag: bool | Retrieval | None) -> Retrieval | None:  # noqa: FBT001 - as the wire has it
    if isinstance(rag, Retrieval):
        return rag
    return Retrieval() if rag else None
