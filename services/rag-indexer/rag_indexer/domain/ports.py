"""What building and searching need from outside: folders, an encoder, terms, a store, somebody who counts."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from rag_indexer.domain.documents import Document, Entry, Filters, Meta, Sparse, StoredPassage, Vectors
from rag_indexer.domain.manifest import FileState, Manifest, Stamp
from sage_contracts.index import Job


class Unreadable(Exception):
    """
    A file cannot be indexed; the message says why, as a user should read it.

    `passing` when it might be read another time as it is: it is then tried again by the next build.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


class Record(Struct, frozen=True, kw_only=True):
    """What an index says of itself. `fingerprint` names how it was made: passages of another one are not comparable."""

    fingerprint: str
    encoder: str
    dimensions: int
    source_dir: str
    chosen: bool = False
    """Whether a request named the folder; if not it was the configured one of then."""
    num_documents: int
    num_chunks: int
    num_bytes: int = 0
    created_at: datetime
    updated_at: datetime
    skipped: list[str] = []
    unfinished: bool = False
    """Whether a change of it in place was broken off."""
    bytes_per_second: float | None = None
    """How fast the last build read files, for the next one's estimate."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder that may be indexed, in order, and those that may not, each with its reason."""

    paths: list[str]
    skipped: list[str]


@dataclass(frozen=True, slots=True)
class Hit:
    passage: StoredPassage
    score: float


@dataclass(frozen=True, slots=True)
class Hits:
    """Best first: by BM25, and by cosine similarity."""

    sparse: list[Hit]
    dense: list[Hit]


@dataclass(frozen=True, slots=True)
class Content:
    """
    A file's bytes, the file system's word on them, and what is said of the file outside of it.

    `stamp` is None when the file was changed while it was read.
    """

    data: bytes
    stamp: Stamp | None
    meta: Meta = field(default_factory=dict)


class Folder(Protocol):
    """A folder that may be indexed. Paths are relative to it, with `/`."""

    @property
    def path(self) -> str: ...

    def listing(self) -> Listing:
        """Raises SourceRefused when the folder itself, not one below it, cannot be listed."""
        ...

    def stamp(self, path: str) -> Stamp | None:
        """None when there is no telling."""
        ...

    def read(self, path: str) -> Content:
        """The whole file; raises Unreadable when it is gone, too large, not a file, or leads outside the folder."""
        ...


class Folders(Protocol):
    def open(self, source_dir: str) -> Folder:
        """Raises SourceRefused unless `source_dir` is a folder inside an allowed root."""
        ...


class Parser(Protocol):
    """
    The bytes of a file as a document. `fingerprint` changes whenever the same bytes would be cut into other chunks.

    `suffixes` are those it can read, lower case, with the dot.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def suffixes(self) -> frozenset[str]: ...

    async def parse(self, path: str, data: bytes) -> Document:
        """Raises Unreadable with the reason, as a user should read it. May be called many times at once."""
        ...


Kind = Literal["passage", "query"]


class Encoder(Protocol):
    """Text as a dense vector of length 1; a text without any known word is all zeros."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text would get another vector."""
        ...

    async def dimensions(self) -> int:
        """Raises EncoderAway where they are not known without asking."""
        ...

    async def encode(self, texts: Sequence[str], *, kind: Kind) -> list[list[float]]:
        """Raises EncoderAway."""
        ...


class Terms(Protocol):
    """Text as weighted terms. `fingerprint` changes whenever the same text would give others."""

    @property
    def fingerprint(self) -> str: ...

    def of_passage(self, text: str) -> Sparse: ...

    def of_query(self, text: str) -> Sparse: ...


@dataclass(frozen=True, slots=True)
class Made:
    """A file ready to be stored: what is known of it, and its passages."""

    path: str
    state: FileState
    entries: Sequence[Entry]


class Draft(Protocol):
    """
    The next state of an index. Ends with `publish`, `discard` or `leave`.

    A fresh one is a new version that nobody sees before it is published. A change begins with what is served: the
    embedded store makes it in a copy, a server in place, file by file.
    """

    @property
    def files(self) -> Manifest:
        """What is in it already: of a change what is served, and of both what an unfinished build had come to."""
        ...

    async def entries(self, path: str) -> list[Entry]:
        """The passages of a file in it, in no order."""
        ...

    async def put(self, made: Sequence[Made]) -> None:
        """Files with all their passages, in place of what there was of them."""
        ...

    async def remove(self, paths: Collection[str]) -> None: ...

    async def publish(self, record: Record) -> None:
        """
        Serve this from now on. A fresh version takes the place of the served one in one step, and that one is kept as
        the earlier one; the one before that is dropped.

        A search sees either the old or the new version. What fails here leaves the old one served.
        """
        ...

    async def discard(self) -> None:
        """Drop it. A change made in place cannot be: it stays as far as it came, and the next build goes on with it."""
        ...

    async def leave(self) -> None:
        """Stop here, for a later `draft` to go on with."""
        ...


class Passages(Protocol):
    """
    The passages of one collection: one version is served, the one before it kept, another may be drafted.

    Every method raises StoreUnavailable when the store is away.
    """

    async def record(self) -> Record | None:
        """What is served; None when there is no index."""
        ...

    async def manifest(self) -> Manifest:
        """The files of the served version."""
        ...

    async def note(self, states: Manifest) -> None:
        """Their content is what it was: only what else is known of these files of the served version has changed."""
        ...

    async def unfinished(self, fingerprint: str) -> bool:
        """Whether a fresh draft of this fingerprint was left, to be gone on with."""
        ...

    async def draft(self, *, fresh: bool, fingerprint: str, dimensions: int) -> Draft:
        """An unfinished one of the same kind and fingerprint is gone on with; another unfinished one is dropped."""
        ...

    async def amendment(self) -> Draft:
        """A change that begins with what is served, and leaves an unfinished draft of its own alone."""
        ...

    async def search(self, query: Vectors, *, limit: int, chosen: Filters) -> Hits:
        """`limit` of each kind at most; no hits when there is no index, no dense ones when the query has none."""
        ...

    async def passage(self, passage_id: str) -> StoredPassage | None:
        """None when it is gone, or the id is no id of a passage."""
        ...

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """What these passages are found by; those that are gone are left out."""
        ...

    async def earlier(self) -> Record | None:
        """What `rollback` would serve."""
        ...

    async def rollback(self) -> Record | None:
        """Serve the earlier version, in one step, and keep the served one as the earlier; None when there is none."""
        ...

    async def delete(self) -> bool:
        """The earlier version and an unfinished one too. Whether there was an index."""
        ...


@dataclass(frozen=True, slots=True)
class Holder:
    """
    Who has the right to change a collection, and since when.

    `job` is the build that it is for, as it was told a few seconds ago; None when it is for another change.
    """

    by: str
    since: datetime
    job: Job | None

    @property
    def message(self) -> str:
        who = f"{self.by}, another rag-indexer, since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        if (job := self.job) is None:
            return f"the index is being changed by {who}"
        return f"build {job.id} is under way in {who}: {job.stage}, {job.done} of {job.total} files"


def no_build() -> Job | None:
    return None


class Collections(Protocol):
    """The stores of passages, by collection. Every method raises StoreUnavailable when the store is away."""

    async def names(self) -> list[str]:
        """Of those that have an index, in order."""
        ...

    async def open(self, name: str) -> Passages:
        """The store of `name`, a valid name of a collection, whether or not there is an index in it yet."""
        ...

    def hold(self, name: str, job: Callable[[], Job | None] = no_build) -> AbstractAsyncContextManager[asyncio.Event]:
        """
        The right to change `name`, for as long as the block runs; the event is set when it has been lost.

        `job` tells the build that it is for, to other processes. Entering raises BuildRunning while somebody else has
        the right, in this process or another.
        """
        ...

    async def holder(self, name: str) -> Holder | None:
        """Who has that right in another process; of this one's it may be told too."""
        ...


SearchOutcome = Literal["evidence", "no_evidence", "no_index"]
BuildOutcome = Literal["built", "updated", "already_exists", "failed", "cancelled"]


class Counts(Protocol):
    def searched(self, outcome: SearchOutcome, seconds: float) -> None: ...

    def built(self, outcome: BuildOutcome, seconds: float) -> None: ...

    def serving(self, chunks: int) -> None: ...
