"""Our own format: all of a session, so that what is taken in again is the same session."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, structs

from sage_contracts.memory import ItemKind
from sage_contracts.names import MAIN_BRANCH, is_id
from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain.memory.notes import Note, Shelf
from session_store.domain.memory.shelves import NOTES_AT_MOST
from session_store.domain.transfers.conversations import Conversation, Node, grown, parents, refuse_many, tip
from session_store.domain.transfers.reading import converted, dated, micros, wrong
from session_store.domain.views import time_of

KINDS: dict[Literal["facts", "relations", "summaries"], ItemKind] = {
    "facts": "fact",
    "relations": "relation",
    "summaries": "summary",
}
"""What travels of a memory. Turns found by meaning are not: they are made again from the messages."""

FORMAT: Literal["sage.session"] = "sage.session"
VERSION = 1

NOTE_CHARS = 8_000
"""Of each text of a note: more than any note made here has."""


class OwnSession(Struct, frozen=True, kw_only=True):
    """
    `messages` are a tree by their `parent_id`; `branches` says which message each branch ends with, null for none.

    `title` is empty unless a person gave one. `notes` are what is remembered of it; they belong to a message by its id,
    those without one were written by hand.
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
    notes: dict[Literal["facts", "relations", "summaries"], list[Note]] = {}


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
            structs.replace(message, parent_id=parent) for message, parent in zip(conversation.log, before, strict=True)
        ],
        notes={
            shelf: [structs.replace(note, position=None) for note in (conversation.notes or {}).get(shelf, ())]
            for shelf in KINDS
        },
    )


def is_own(value: Mapping[str, Any]) -> bool:
    return value.get("format") == FORMAT


def read(value: Mapping[str, Any], place: str) -> Conversation:
    session = converted(value, OwnSession, place)
    refuse_many(session.messages, f"{place}.messages")
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
    # A session whose first branch is not written has, to the store, the head's messages on it.
    tips = {MAIN_BRANCH: None, **session.branches}
    log, branches = grown(nodes, tips, session.head, place)
    return Conversation(
        log=log,
        branches=branches,
        created_us=micros(session.created_at, f"{place}.created_at"),
        active_us=micros(session.last_active, f"{place}.last_active"),
        head=session.head,
        title=session.title,
        auto_title=session.auto_title,
        session_id=session.id,
        memory=session.memory,
        notes=_notes(session, log, place),
    )


def _notes(session: OwnSession, log: Sequence[Message], place: str) -> dict[Shelf, Sequence[Note]]:
    """Each at the message it was learnt from; what was learnt from one that is in no branch is left out."""
    positions = {message.id: position for position, message in enumerate(log)}
    found: dict[Shelf, Sequence[Note]] = {}
    for shelf, notes in session.notes.items():
        if len(notes) > NOTES_AT_MOST:
            raise wrong(f"{place}.notes.{shelf}", f"Expected at most {NOTES_AT_MOST}")
        for index, note in enumerate(notes):
            at = f"{place}.notes.{shelf}[{index}]"
            if note.kind != KINDS[shelf] or not is_id(note.id):
                raise wrong(at, f"Expected a {KINDS[shelf]} with an id")
            if max(map(len, (note.text, note.subject, note.key, note.value))) > NOTE_CHARS:
                raise wrong(at, f"Expected texts of at most {NOTE_CHARS} characters")
            dated(note.at_us, f"{at}.at_us")
        found[shelf] = [
            structs.replace(note, position=None if note.learnt_from is None else positions[note.learnt_from])
            for note in notes
            if note.learnt_from is None or note.learnt_from in positions
        ]
    return found


def _nodes(session: OwnSession, place: str) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for index, message in enumerate(session.messages):
        at = f"{place}.messages[{index}]"
        if message.id in nodes or not is_id(message.id):
            raise wrong(f"{at}.id", "Expected an id of its own, of letters, digits or any of - _ . :")
        parent = message.parent_id if isinstance(message.parent_id, str) else None
        timestamp = message.timestamp if message.timestamp.tzinfo else message.timestamp.replace(tzinfo=UTC)
        micros(timestamp, f"{at}.timestamp")
        plain = structs.replace(message, parent_id=UNSET, timestamp=timestamp)
        nodes[message.id] = Node(plain, parent, f"{at}.parent_id")
    return nodes
