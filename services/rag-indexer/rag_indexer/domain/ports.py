"""What building and searching need from outside: folders, an encoder, terms, a store, somebody who counts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from rag_indexer.domain.documents import Document, Entry, Filters, Sparse, StoredPassage, Vectors


class Unreadable(Exception):
    """A file cannot be indexed; the message says why, as a user should read it."""


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
    created_at: datetime
    updated_at: datetime
    skipped: list[str] = []


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


class Folder(Protocol):
    """A folder that may be indexed. Paths are relative to it, with `/`."""

    @property
    def path(self) -> str: ...

    def listing(self) -> Listing: ...

    def read(self, path: str) -> bytes:
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


class Draft(Protocol):
    """The next version of the index, which nobody sees before it is published. Ends with `publish` or `discard`."""

    async def carry(self, paths: Collection[str]) -> int:
        """Bring over the passages of these files from the version being served; how many they were."""
        ...

    async def add(self, entries: Sequence[Entry]) -> None: ...

    async def publish(self, record: Record, files: Mapping[str, str]) -> None:
        """
        Serve this version from now on, in one step, and drop the one before. `files` is the hash of each file.

        A search sees either the old or the new version. What fails here leaves the old one served.
        """
        ...

    async def discard(self) -> None: ...


class Passages(Protocol):
    """
    The passages of one collection: one version is served, another may be drafted.

    Every method raises StoreUnavailable when the store is away.
    """

    async def record(self) -> Record | None:
        """What is served; None when there is no index."""
        ...

    async def files(self) -> dict[str, str]:
        """The hash of each file in the served version."""
        ...

    async def draft(self, dimensions: int) -> Draft: ...

    async def search(self, query: Vectors, *, limit: int, chosen: Filters) -> Hits:
        """`limit` of each kind at most; no hits when there is no index, no dense ones when the query has none."""
        ...

    async def passage(self, passage_id: str) -> StoredPassage | None:
        """None when it is gone, or the id is no id of a passage."""
        ...

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """What these passages are found by; those that are gone are left out."""
        ...

    async def delete(self) -> bool:
        """Whether there was an index."""
        ...


class Collections(Protocol):
    """The stores of passages, by collection. Every method raises StoreUnavailable when the store is away."""

    async def names(self) -> list[str]:
        """Of those that have an index, in order."""
        ...

    async def open(self, name: str) -> Passages:
        """The store of `name`, a valid name of a collection, whether or not there is an index in it yet."""
        ...


SearchOutcome = Literal["evidence", "no_evidence", "no_index"]
BuildOutcome = Literal["built", "updated", "already_exists", "failed", "cancelled"]


class Counts(Protocol):
    def searched(self, outcome: SearchOutcome, seconds: float) -> None: ...

    def built(self, outcome: BuildOutcome, seconds: float) -> None: ...

    def serving(self, chunks: int) -> None: ...
