"""From the bytes of a file to entries of the index: everything of a build that is work and no waiting."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_indexer.domain.documents import Chunk, Document, Entry, StoredPassage, Vectors
from rag_indexer.domain.ports import Encoder, Folder, Parser, Terms, Unreadable

_IDS = uuid.UUID("6f1c7a54-5f0e-4c55-9f0b-3b8f5a6f0a11")
_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Scanned:
    """The folder as it was: hash and size in bytes of each file, and what was left out, with reasons."""

    hashes: dict[str, str]
    sizes: dict[str, int]
    skipped: list[str]


class Reading:
    def __init__(self, parser: Parser, encoder: Encoder, terms: Terms) -> None:
        self._parser = parser
        self._encoder = encoder
        self._terms = terms

    @property
    def encoder(self) -> Encoder:
        return self._encoder

    @property
    def fingerprint(self) -> str:
        return f"{self._encoder.fingerprint} {self._terms.fingerprint} {self._parser.fingerprint}"

    def scan(self, folder: Folder, progress: Callable[[int, int], None]) -> Scanned:
        """Read every file once: only its content tells whether it has changed. Blocks: call it in a thread."""
        listing = folder.listing()
        found = Scanned({}, {}, list(listing.skipped))
        for number, path in enumerate(listing.paths):
            progress(number, len(listing.paths))
            try:
                data = folder.read(path)
            except Unreadable as reason:
                found.skipped.append(f"{path}: {reason}")
                continue
            found.hashes[path] = _hash(data)
            found.sizes[path] = len(data)
        return found

    async def entries(self, folder: Folder, path: str) -> list[Entry]:
        """The file's passages, ready to be stored. Raises Unreadable: it may have changed since it was scanned."""
        data = await asyncio.to_thread(folder.read, path)
        document = await self._parser.parse(path, data)
        passages = _passages(path, _hash(data), document)
        dense = await self._encoder.encode([passage.text for passage in passages], kind="passage")
        sparse = await asyncio.to_thread(lambda: [self._terms.of_passage(searchable(one)) for one in passages])
        return [Entry(*each) for each in zip(passages, map(Vectors, sparse, dense), strict=True)]


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
    return [_passage(path, file_hash, document, chunk, seen) for chunk in document.chunks]


def _passage(path: str, file_hash: str, document: Document, chunk: Chunk, seen: dict[str, int]) -> StoredPassage:
    heading = _SEPARATOR.join(chunk.headings)
    key = f"{path}\0{heading}\0{chunk.text}"
    seen[key] = seen.get(key, 0) + 1
    return StoredPassage(
        # From the content alone, so that a passage keeps its id when the index is built again.
        id=str(uuid.uuid5(_IDS, f"{key}\0{seen[key]}")),
        path=path,
        file_hash=file_hash,
        title=document.title,
        heading=heading,
        anchor=chunk.anchor,
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        text=chunk.text,
        page=chunk.page,
        type=document.type,
        meta=document.meta,
        content_hash=_hash(chunk.text.encode("utf-8", "surrogatepass"))[:16],
    )


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
