"""What the indexer works on: a file's text, its chunks, and the passages that stand in an index."""

from dataclasses import dataclass

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file. `headings` leads from the outermost heading to its own; lines count from 1, both included."""

    text: str
    headings: tuple[str, ...]
    anchor: str
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Sparse:
    """Weights of terms, by the term's number."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Vectors:
    """What a text is found by. `dense` has length 1, or is all zeros."""

    sparse: Sparse
    dense: list[float]


class StoredPassage(Struct, frozen=True, kw_only=True):
    """A chunk as an index keeps it. `file_hash` is that of the whole file it came from."""

    id: str
    path: str
    file_hash: str
    title: str
    heading: str
    anchor: str
    first_line: int
    last_line: int
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    passage: StoredPassage
    vectors: Vectors
