"""What building and searching need from outside: folders, an encoder, terms, a store, somebody who counts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from rag_indexer.domain.documents import Entry, Sparse, StoredPassage, Vectors


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


class Encoder(Protocol):
    """Text as a dense vector of length 1; a text without any known word is all zeros. Blocks: call it in a thread."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> list[list[float]]: ...


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
    The store of passages: one version is served, another may be drafted.

    Every method raises StoreUnavailable when the store is away.
    """

    async def record(self) -> Record | None:
        """What is served; None when there is no index."""
        ...

    async def files(self) -> dict[str, str]:
        """The hash of each file in the served version."""
        ...

    async def draft(self) -> Draft: ...

    async def search(self, query: Vectors, *, limit: int, path_prefix: str | None) -> Hits:
        """`limit` of each kind at most; no hits when there is no index."""
        ...

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """What these passages are found by; those that are gone are left out."""
        ...

    async def delete(self) -> bool:
        """Whether there was an index."""
        ...


SearchOutcome = Literal["evidence", "no_evidence", "no_index"]
BuildOutcome = Literal["built", "updated", "already_exists", "failed", "cancelled"]


class Counts(Protocol):
    def searched(self, outcome: SearchOutcome, seconds: float) -> None: ...

    def built(self, outcome: BuildOutcome, seconds: float) -> None: ...

    def serving(self, chunks: int) -> None: ...
