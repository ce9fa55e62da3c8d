"""From the bytes of a file to entries of the index: everything of a build that is work and no waiting."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_indexer.domain import chunking
from rag_indexer.domain.documents import Chunk, Document, Entry, StoredPassage, Vectors
from rag_indexer.domain.ports import Encoder, Folder, Terms, Unreadable

CHUNKS_VERSION = "chunks-2"
"""To be raised when the same text would be cut into other chunks: it makes every index be built anew."""

_IDS = uuid.UUID("6f1c7a54-5f0e-4c55-9f0b-3b8f5a6f0a11")
_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Scanned:
    """The folder as it was: hash and size in bytes of each file, and what was left out, with reasons."""

    hashes: dict[str, str]
    sizes: dict[str, int]
    skipped: list[str]


class Reading:
    """Blocks: call it in a thread."""

    def __init__(self, encoder: Encoder, terms: Terms) -> None:
        self._encoder = encoder
        self._terms = terms

    @property
    def encoder(self) -> Encoder:
        return self._encoder

    @property
    def fingerprint(self) -> str:
        return f"{self._encoder.name} {self._terms.fingerprint} {CHUNKS_VERSION}"

    def scan(self, folder: Folder, progress: Callable[[int, int], None]) -> Scanned:
        """Read every file once: only its content tells whether it has changed, and whether it can be indexed."""
        listing = folder.listing()
        found = Scanned({}, {}, list(listing.skipped))
        for number, path in enumerate(listing.paths):
            progress(number, len(listing.paths))
            try:
                data = folder.read(path)
                as_text(data)
            except Unreadable as reason:
                found.skipped.append(f"{path}: {reason}")
                continue
            found.hashes[path] = _hash(data)
            found.sizes[path] = len(data)
        return found

    def entries(self, folder: Folder, path: str) -> list[Entry]:
        """The file's passages, ready to be stored. Raises Unreadable: it may have changed since it was scanned."""
        data = folder.read(path)
        document = chunking.read(path, as_text(data))
        passages = _passages(path, _hash(data), document)
        dense = self._encoder.encode([passage.text for passage in passages])
        return [
            Entry(passage, Vectors(self._terms.of_passage(searchable(passage)), vector))
            for passage, vector in zip(passages, dense, strict=True)
        ]


def searchable(passage: StoredPassage) -> str:
    """The text for BM25: with the title and the headings above, which help it and would hurt the dense vector."""
    return f"{passage.title}\n{passage.heading}\n{passage.text}"


def as_text(data: bytes) -> str:
    """Raises Unreadable for what is no text, or is empty."""
    if b"\0" in data:
        raise Unreadable("binary, not text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 (byte {error.start})") from error
    if not text.strip():
        raise Unreadable("empty")
    return text


def _passages(path: str, file_hash: str, document: Document) -> Sequence[StoredPassage]:
    seen: dict[str, int] = {}
    return [_passage(path, file_hash, document.title, chunk, seen) for chunk in document.chunks]


def _passage(path: str, file_hash: str, title: str, chunk: Chunk, seen: dict[str, int]) -> StoredPassage:
    heading = _SEPARATOR.join(chunk.headings)
    key = f"{path}\0{heading}\0{chunk.text}"
    seen[key] = seen.get(key, 0) + 1
    return StoredPassage(
        # From the content alone, so that a passage keeps its id when the index is built again.
        id=str(uuid.uuid5(_IDS, f"{key}\0{seen[key]}")),
        path=path,
        file_hash=file_hash,
        title=title,
        heading=heading,
        anchor=chunk.anchor,
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        text=chunk.text,
    )


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
