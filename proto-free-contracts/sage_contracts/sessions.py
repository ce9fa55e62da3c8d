"""The session-store's interface: conversations, and what the engine is told of them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from sage_contracts.call import Call, Empty, Opaque

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Backend = Literal["short_term", "vdb", "kv", "graph"]
BACKENDS: tuple[Backend, ...] = ("short_term", "vdb", "kv", "graph")


class NewMessage(Struct, frozen=True, kw_only=True):
    """A message to be stored, as OpenAI shapes it: `content` is text, a list of parts, or null beside tool calls."""

    role: Role
    content: str | list[dict[str, Any]] | None = None
    name: str | UnsetType = UNSET
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    extra: dict[str, Any] | UnsetType = UNSET
    """Its other fields, as the client or the engine wrote them (`refusal`, `reasoning_content`, …): told again."""
    metadata: dict[str, Any] = {}


class Message(Struct, frozen=True, kw_only=True):
    """
    A stored message. `id` is unique in its session; `timestamp` is UTC.

    `parent_id` is the message before it on its branch; it is told where a session is read, and not stored.
    """

    id: str
    role: Role
    timestamp: datetime
    content: str | list[dict[str, Any]] | None = None
    name: str | UnsetType = UNSET
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    extra: dict[str, Any] | UnsetType = UNSET
    metadata: dict[str, Any] = {}
    parent_id: str | UnsetType | None = UNSET


class Summary(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    created_at: datetime
    last_active: datetime
    message_count: int


class Session(Struct, frozen=True, kw_only=True):
    """
    A conversation as clients read it: the head branch, or the one asked for.

    `metadata` tells its `title`, `branch`, `branches` (where there are several), `memory` (its backend), and, while
    turns are under way, `pending`: a list of `{turn_id, branch, since, messages}`.
    """

    id: str
    messages: list[Message]
    created_at: datetime
    last_active: datetime
    metadata: dict[str, Any]


class Stats(Struct, frozen=True, kw_only=True):
    total_sessions: int
    total_messages: int


class ReadQuery(Struct, frozen=True, kw_only=True):
    branch: str | None = None


class ListQuery(Struct, frozen=True, kw_only=True):
    """`after` is the `next` of the page before; `q` keeps the sessions whose title or text holds it, in any case."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str | None = None
    q: str | None = None


class Listed(Struct, frozen=True, kw_only=True):
    """Newest first."""

    sessions: list[Summary]
    stats: Stats
    has_more: bool = False
    next: str | None = None


class MemoryChoice(Struct, frozen=True, kw_only=True):
    """What is remembered of a session, and how; what is absent is as configured."""

    backend: Backend
    max_dialogs: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    budget_tokens: Annotated[int, Meta(ge=0)] | None = None


class NewSession(Struct, frozen=True, kw_only=True):
    """`session_id` is the one it shall have; absent, it is given one."""

    session_id: str | None = None
    title: Annotated[str, Meta(max_length=500)] | None = None
    memory: MemoryChoice | None = None


class Retitle(Struct, frozen=True, kw_only=True):
    title: Annotated[str, Meta(min_length=1, max_length=500)]


class SessionDeleted(Struct, frozen=True, kw_only=True):
    """`removed` counts what is gone, by kind: messages, branches, turns, facts, relations, summaries, vectors…"""

    session_id: str
    removed: dict[str, int] = {}
    status: Literal["deleted"] = "deleted"


class SessionCleared(Struct, frozen=True, kw_only=True):
    session_id: str
    status: Literal["cleared"] = "cleared"


class Retitled(Struct, frozen=True, kw_only=True):
    session_id: str
    title: str
    status: Literal["updated"] = "updated"


class CleanupQuery(Struct, frozen=True, kw_only=True):
    max_age_minutes: Annotated[float, Meta(ge=0)] = 30


class CleanedUp(Struct, frozen=True, kw_only=True):
    removed_sessions: int
    status: Literal["cleaned"] = "cleaned"


class Fork(Struct, frozen=True, kw_only=True):
    """
    Where a new branch leaves its session: behind the message `at`, or `before` it; absent, behind the head's last one.

    To edit a question, or to have it answered again, fork before it and ask. `select` makes the new branch the head.
    """

    at: str | None = None
    before: bool = False
    name: str | None = None
    select: bool = True


class Branch(Struct, frozen=True, kw_only=True):
    """`head` is its last message, null while it has none; `forked_at` the last one it has from another branch."""

    name: str
    head: str | None
    message_count: int
    is_head: bool
    forked_at: str | None = None


class Branches(Struct, frozen=True, kw_only=True):
    session_id: str
    branches: list[Branch]


class ExportQuery(Struct, frozen=True, kw_only=True):
    """`openai` is the head branch as conversation items, `open-webui` its chat JSON, `sage` all there is."""

    format: Literal["sage", "openai", "open-webui"] = "sage"


class Imported(Struct, frozen=True, kw_only=True):
    """What was stored, in the order it came in; `format` is what it was read as."""

    sessions: list[Summary]
    format: Literal["sage", "openai", "open-webui"]


LIST = Call("GET", "/sessions", ListQuery, Listed)
CREATE = Call("POST", "/sessions", NewSession, Session)
READ = Call("GET", "/sessions/{session_id}", ReadQuery, Session)
DELETE = Call("DELETE", "/sessions/{session_id}", Empty, SessionDeleted)
CLEAR = Call("POST", "/sessions/{session_id}/clear", Empty, SessionCleared)
RETITLE = Call("PATCH", "/sessions/{session_id}/title", Retitle, Retitled)
CLEANUP = Call("POST", "/sessions/cleanup", Empty, CleanedUp, query=CleanupQuery)
STATS = Call("GET", "/internal/sessions/stats", Empty, Stats)
FORK = Call("POST", "/sessions/{session_id}/fork", Fork, Branch)
BRANCHES = Call("GET", "/sessions/{session_id}/branches", Empty, Branches)
SELECT = Call("POST", "/sessions/{session_id}/branches/{branch}/select", Empty, Branch)
EXPORT = Call("GET", "/sessions/{session_id}/export", ExportQuery, Opaque)
IMPORT = Call("POST", "/sessions/import", Opaque, Imported)
