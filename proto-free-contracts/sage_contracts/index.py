"""The rag-indexer's interface: building an index of documents, and finding passages in it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sage_contracts.call import Call, Empty, Opaque
from sage_contracts.names import DOCS_COLLECTION

MAX_QUERY = 20_000
"""Letters."""

Stage = Literal["scanning", "chunking", "indexing", "publishing", "done"]


class BuildRequest(Struct, frozen=True, kw_only=True):
    """
    `source_dir` absent means the folder the collection was made of, for `docs` the configured one.

    `wait` false answers 202 at once, with the job. `dry_run` changes nothing and answers the plan. `watch` keeps the
    collection up to date from now on, until DELETE /admin/index/watch or the end of the service.
    """

    source_dir: str | None = None
    force_rebuild: bool = False
    wait: bool = True
    collection: str | None = None
    dry_run: bool = False
    watch: bool = False


class CollectionQuery(Struct, frozen=True, kw_only=True):
    """Absent, it is the collection `docs`."""

    collection: str | None = None


class Job(Struct, frozen=True, kw_only=True):
    """
    A build under way: `done` of `total` files, `chunks` made so far; `eta_seconds` is null until it can be told.

    `stalled` when nothing has come of it for some seconds: while it is `scanning` its folder or the encoder does not
    answer.
    """

    id: str
    done: int
    total: int
    stage: Stage
    eta_seconds: float | None = None
    chunks: int = 0
    stalled: bool = False


class Move(Struct, frozen=True, kw_only=True):
    before: str
    now: str


class Plan(Struct, frozen=True, kw_only=True):
    """
    What a build would do, by path; of each list the first 1,000. A moved file is only labelled anew.

    The estimates are of the files to be read: chunks by what they are in this index, seconds by how fast the last build
    was, null before there was one.
    """

    add: list[str]
    change: list[str]
    move: list[Move]
    delete: list[str]
    unchanged: int
    skipped: list[str]
    files: int
    bytes: int
    chunks: int
    seconds: float | None = None


class Embedding(Struct, frozen=True, kw_only=True):
    encoder: str
    dimensions: int


class IndexInfo(Struct, frozen=True, kw_only=True):
    num_documents: int
    num_chunks: int
    created_at: datetime
    updated_at: datetime
    embedding: Embedding
    source_dir: str
    skipped: list[str] = []
    """Files that could not be read, each with its reason."""


class Built(Struct, frozen=True, kw_only=True):
    status: Literal["built", "already_exists", "updated", "building", "planned"]
    message: str
    index: IndexInfo | None = None
    job: Job | None = None
    plan: Plan | None = None


class IndexStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    `error` says why the last build failed; the index that was there before it is still served.

    `previous` is what POST /admin/index/rollback would serve again. `builder` names the process that builds, where it
    is another than the one that answers: `job` is then some seconds old.
    """

    status: Literal["not_found", "building", "ready", "failed"]
    index: IndexInfo | None = None
    job: Job | None = None
    error: str | None = None
    previous: IndexInfo | None = None
    builder: str | None = None
    watching: bool = False


class BuildEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A frame of GET /admin/index/events. `progress` has the job; the last one is any other and says how the build ended,
    or that none runs or has run, or one in another process no longer (`idle`).
    """

    event: Literal["progress", "done", "failed", "cancelled", "idle"]
    job: Job | None = None
    message: str | None = None
    index: IndexInfo | None = None


class Cancelled(Struct, frozen=True, kw_only=True):
    status: Literal["cancelled", "not_running"]
    message: str


class RolledBack(Struct, frozen=True, kw_only=True):
    status: Literal["rolled_back"]
    message: str
    index: IndexInfo


class CollectionInfo(Struct, frozen=True, kw_only=True):
    name: str
    status: Literal["not_found", "building", "ready", "failed"]
    index: IndexInfo | None = None


class CollectionList(Struct, frozen=True, kw_only=True):
    collections: list[CollectionInfo]


class Watching(Struct, frozen=True, kw_only=True):
    """Whether the collection was watched before it was asked to be left alone."""

    status: Literal["stopped", "not_watching"]


class IndexDeleted(Struct, frozen=True, kw_only=True):
    status: Literal["deleted", "not_found"]
    message: str


class SearchRequest(Struct, frozen=True, kw_only=True):
    query: Annotated[str, Meta(min_length=1, max_length=MAX_QUERY)]
    top_k: Annotated[int, Meta(ge=1, le=50)] = 5
    collection: str | None = None
    filters: dict[str, Any] | None = None
    """
    `path_prefix`, `type` (one or a list), `modified_after` and `modified_before` (ISO 8601), and `meta`: an object of
    front matter fields, each with the value, or a list of values, that it must have. All must hold.
    """


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Where a passage stands: `path` relative to the indexed folder; `lines` first and last, from 1, both included.

    `page` is told of formats that have pages, from 1; `lines` are then those of the page's text. `modified` is the
    file's own time.
    """

    path: str
    title: str
    heading: str
    anchor: str
    lines: tuple[int, int]
    page: int | None = None
    type: str = "text"
    """markdown, text, rst, html, pdf, docx, code, csv, json or notebook."""
    collection: str = DOCS_COLLECTION
    modified: datetime | None = None


class Passage(Struct, frozen=True, kw_only=True):
    """`score` is at most 1 and compares the passages of one search; `meta` is the document's own front matter."""

    id: str
    text: str
    score: float
    source: Source
    meta: dict[str, Any] = {}


class PassageQuery(Struct, frozen=True, kw_only=True):
    collection: str | None = None


class How(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How passages were looked for. `mode` is what was asked of the index; `degraded` says why it was less than wanted:
    the encoder or the reranker was away.
    """

    mode: Literal["hybrid", "bm25", "dense"]
    encoder: str
    reranker: str | None = None
    degraded: str | None = None


class Found(Struct, frozen=True, kw_only=True):
    """Best first. `evidence` is false when nothing found is worth quoting; the passages are then empty."""

    passages: list[Passage]
    evidence: bool
    reason: str | None = None
    how: How | None = None


STATUS = Call("GET", "/admin/index/status", CollectionQuery, IndexStatus)
BUILD = Call("POST", "/admin/index/build", BuildRequest, Built)
EVENTS = Call("GET", "/admin/index/events", CollectionQuery, Opaque)
CANCEL = Call("POST", "/admin/index/cancel", CollectionQuery, Cancelled)
ROLLBACK = Call("POST", "/admin/index/rollback", CollectionQuery, RolledBack)
UNWATCH = Call("DELETE", "/admin/index/watch", CollectionQuery, Watching)
COLLECTIONS = Call("GET", "/admin/index/collections", Empty, CollectionList)
DELETE = Call("DELETE", "/admin/index", CollectionQuery, IndexDeleted)
PASSAGE = Call("GET", "/v1/retrieval/passages/{passage_id}", PassageQuery, Passage)
SEARCH = Call("POST", "/v1/retrieval/search", SearchRequest, Found)
INTERNAL_SEARCH = Call("POST", "/internal/search", SearchRequest, Found)
