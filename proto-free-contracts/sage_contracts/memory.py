"""What is remembered of a session beside its messages: how it is set up, what there is, what to add or to forget."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from sage_contracts.call import Call, Empty
from sage_contracts.sessions import BACKENDS, Backend

ItemKind = Literal["turn", "fact", "relation", "summary"]


class MemoryConfig(Struct, frozen=True, kw_only=True):
    """`backend` is what a session gets that chooses none."""

    backend: Backend
    max_dialogs: int
    config: dict[str, Any]
    available_backends: tuple[Backend, ...] = BACKENDS


class MemoryUse(Struct, frozen=True, kw_only=True):
    """
    How full a session's memory is. A dialog is a user message with what follows it.

    The dialogs are those of the newest window, which every backend keeps; `items` is what is remembered beyond it, for
    all backends but short_term.
    """

    backend: Backend
    dialog_count: int
    max_dialogs: int
    usage_percent: float
    items: int | UnsetType = UNSET


class MemoryStats(Struct, frozen=True, kw_only=True):
    total_sessions: int
    sessions: dict[str, MemoryUse]


class MemoryItem(Struct, frozen=True, kw_only=True):
    """
    One thing remembered. `message_id` is the message it was learnt from, null when it was written by hand.

    Facts and relations have `subject`, `key` and `value`; a relation that was contradicted has `closed_at`. A summary
    has the range of messages it stands for.
    """

    id: str
    kind: ItemKind
    text: str
    at: datetime
    message_id: str | None = None
    subject: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    value: str | UnsetType = UNSET
    closed_at: datetime | UnsetType = UNSET
    first_message_id: str | UnsetType = UNSET
    last_message_id: str | UnsetType = UNSET


class Remembered(Struct, frozen=True, kw_only=True):
    """Newest first. `notice` says what keeps the memory from working as it should, if anything does."""

    session_id: str
    backend: Backend
    items: list[MemoryItem]
    notice: str | UnsetType = UNSET


class NewFact(Struct, frozen=True, kw_only=True):
    """`subject` absent means the user. The same subject and key again replace the value."""

    key: Annotated[str, Meta(min_length=1, max_length=200)]
    value: Annotated[str, Meta(min_length=1, max_length=2_000)]
    subject: Annotated[str, Meta(min_length=1, max_length=200)] = "user"


class NewFacts(Struct, frozen=True, kw_only=True):
    facts: Annotated[list[NewFact], Meta(min_length=1, max_length=200)]


class FactsStored(Struct, frozen=True, kw_only=True):
    session_id: str
    facts: list[MemoryItem]


class Forgotten(Struct, frozen=True, kw_only=True):
    session_id: str
    item_id: str
    status: Literal["forgotten"] = "forgotten"


CONFIG = Call("GET", "/memory/config", Empty, MemoryConfig)
STATS = Call("GET", "/memory/stats", Empty, MemoryStats)
ITEMS = Call("GET", "/sessions/{session_id}/memory", Empty, Remembered)
PUT_FACTS = Call("PUT", "/sessions/{session_id}/memory/facts", NewFacts, FactsStored)
FORGET = Call("DELETE", "/sessions/{session_id}/memory/{item_id}", Empty, Forgotten)
