"""The rag-indexer's interface: building an index of documents, and finding passages in it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sage_contracts.call import Call, Empty
from sage_contracts.names import DOCS_COLLECTION

Stage = Literal["scanning", "chunking", "indexing", "publishing", "done"]


class BuildRequest(Struct, frozen=True, kw_only=True):
    """`source_dir` absent means the configured folder. `wait` false answers 202 at once, with the job."""

    source_dir: str | None = None
    force_rebuild: bool = False
    wait: bool = True


class Job(Struct, frozen=True, kw_only=True):
    """A build under way: `done` of `total` files; `eta_seconds` is null until it can be told."""

    id: str
    done: int
    total: int
    stage: Stage
    eta_seconds: float | None = None


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
    status: Literal["built", "already_exists", "updated", "building"]
    message: str
    index: IndexInfo | None = None
    job: Job | None = None


class IndexStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`error` says why the last build failed; the index that was there before it is still served."""

    status: Literal["not_found", "building", "ready", "failed"]
    index: IndexInfo | None = None
    job: Job | None = None
    error: str | None = None


class IndexDeleted(Struct, frozen=True, kw_only=True):
    status: Literal["deleted", "not_found"]
    message: str


class SearchRequest(Struct, frozen=True, kw_only=True):
    query: Annotated[str, Meta(min_length=1, max_length=20_000)]
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


STATUS = Call("GET", "/admin/index/status", Empty, IndexStatus)
BUILD = Call("POST", "/admin/index/build", BuildRequest, Built)
DELETE = Call("DELETE", "/admin/index", Empty, IndexDeleted)
PASSAGE = Call("GET", "/v1/retrieval/passages/{passage_id}", PassageQuery, Passage)
SEARCH = Call("POST", "/v1/retrieval/search", SearchRequest, Found)
INTERNAL_SEARCH = Call("POST", "/internal/search", SearchRequest, Found)
