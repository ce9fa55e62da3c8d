"""Our own format: all of a session, so that what is taken in again is the same session."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct

from sage_contracts.memory import MemoryItem
from sage_contracts.names import is_id
from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain.transfers.conversations import Conversation, Node, grown, parents, tip
from session_store.domain.transfers.reading import converted, micros, wrong
from session_store.domain.views import time_of

FORMAT: Literal["sage.session"] = "sage.session"
VERSION = 1


class OwnSession(Struct, frozen=True, kw_only=True):
    """
    `messages` are a tree by their `parent_id`; `branches` says which message each branch ends with, null for none.

    `title` is empty unless a person gave one.
    """

    format: Literal["sage.session"] = FORMAT
    version: Annotated[int, Meta(ge=1, le=VERSION)] = VERSION
    id: str = ""
    title: Annotated[str, Meta(max_length=500)] = ""
    auto_title: Annotated[str, Meta(max_length=500)] = ""
    created_at: datetime
    last_active: datetime
    memory: MemoryChoice | None = None
    head: str
    branches: Annotated[dict[str, str | None], Meta(min_length=1)]
    messages: list[Message]
    items: list[MemoryItem] = []


def told(conversation: Conversation) -> OwnSession:
    before = parents(conversation)
    return OwnSession(
        id=conversation.session_id,
        title=conversation.title,
        auto_title=conversation.auto_title,
        created_at=time_of(conversation.created_us),
        last_active=time_of(conversation.active_us),
        memory=conversation.memory,
        head=conversation.head,
        branches={name: tip(conversation, name) for name in conversation.branches},
        messages=[
            msgspec.structs.replace(message, parent_id=parent)
            for message, parent in zip(conversation.log, before, strict=True)
        ],
        items=list(conversation.items),
    )


def is_own(value: Mapping[str, Any]) -> bool:
    return value.get("format") == FORMAT


def read(value: Mapping[str, Any], place: str) -> Conversation:
    session = converted(value, OwnSession, place)
    if session.id and not is_id(session.id):
        raise wrong(f"{place}.id", "it cannot name a session")
    for name in session.branches:
        if not is_id(name):
            raise wrong(f"{place}.branches", f"{name!r} cannot name a branch")
    if session.head not in session.branches:
        raise wrong(f"{place}.head", f"there is no branch {session.head!r}")
    nodes = _nodes(session, place)
    for name, last in session.branches.items():
        if last is not None and last not in nodes:
            raise wrong(f"{place}.branches.{name}", f"there is no message {last!r}")
    log, branches = grown(nodes, session.branches, session.head)
    return Conversation(
        log=log,
        branches=branches,
        created_us=micros(session.created_at),
        active_us=micros(session.last_active),
        head=session.head,
        title=session.title,
        auto_title=session.auto_title,
        session_id=session.id,
        memory=session.memory,
        items=session.items,
    )


def _nodes(session: OwnSession, place: str) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for index, message in enumerate(session.messages):
        at = f"{place}.messages[{index}]"
        if message.id in nodes or not is_id(message.id):
            raise wrong(f"{at}.id", "Expected an id of its own, of letters, digits or any of - _ . :")
        parent = message.parent_id if isinstance(message.parent_id, str) else None
        timestamp = message.timestamp if message.timestamp.tzinfo else message.timestamp.replace(tzinfo=UTC)
        plain = msgspec.structs.replace(message, parent_id=UNSET, timestamp=timestamp)
        nodes[message.id] = Node(plain, parent, f"{at}.parent_id")
    return nodes
