"""What the indexer works on: a file's text, its chunks, and the passages that stand in an index."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from sage_contracts.names import DOCS_COLLECTION

Scalar = str | int | float | bool
Meta = dict[str, Scalar | list[str]]
"""What a document says of itself in its front matter."""

TYPES = ("markdown", "text", "rst", "html", "pdf", "docx", "notebook", "csv", "json", "code")
"""What a document may be."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    A piece of a file. `headings` leads from the outermost heading to its own; lines count from 1, both included.

    `page` is told of formats that have pages, from 1; lines are then those of the page's text.
    """

    text: str
    headings: tuple[str, ...]
    anchor: str
    first_line: int
    last_line: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """`title` is empty where the file says none: it is then named as the file is. `type` is one of the TYPES."""

    title: str
    chunks: tuple[Chunk, ...]
    type: str = "text"
    meta: Meta = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sparse:
    """Weights of terms, by the term's number."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Vectors:
    """What a text is found by. `dense` has length 1, or is all zeros; of a query it may be empty: then terms alone."""

    sparse: Sparse
    dense: list[float]


class StoredPassage(Struct, frozen=True, kw_only=True):
    """
    A chunk as an index keeps it. `file_hash` is that of the whole file it came from, `content_hash` that of its text.

    `modified` is the file's own time when it was indexed, in unix seconds. `untitled` when `title` is the file's name,
    because it says none itself.
    """

    id: str
    path: str
    file_hash: str
    title: str
    heading: str
    anchor: str
    first_line: int
    last_line: int
    text: str
    page: int | None = None
    type: str = "text"
    modified: float | None = None
    meta: Meta = {}
    content_hash: str = ""
    collection: str = DOCS_COLLECTION
    untitled: bool = False


def is_passage_id(text: str) -> bool:
    """Whether it may be an id of a passage: a UUID, as the stores want it."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def labels(meta: Meta) -> list[str]:
    """Each field with its value, of a list with each of them, as one word: what the stores filter front matter by."""
    pairs = ((field, value if isinstance(value, list) else [value]) for field, value in meta.items())
    return [label(field, value) for field, values in pairs for value in values]


def label(field: str, value: Scalar) -> str:
    """1 and 1.0 are the same, true and 1 are not, nor are "1" and 1."""
    whole = isinstance(value, float) and value.is_integer()
    return f"{field}={json.dumps(int(value) if whole else value, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Entry:
    passage: StoredPassage
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Filters:
    """
    Which passages are meant: all that is given must hold. Times are unix seconds, both excluded.

    `meta` maps a field of the front matter to the values it may have; of a list, one must be among them.
    """

    path_prefix: str | None = None
    types: tuple[str, ...] = ()
    modified_after: float | None = None
    modified_before: float | None = None
    meta: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)


EVERYTHING = Filters()
