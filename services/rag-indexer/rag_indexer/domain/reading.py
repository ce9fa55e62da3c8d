"""From the bytes of a file to entries of the index."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from weakref import WeakKeyDictionary

import msgspec

from rag_indexer.domain.documents import Chunk, Document, Entry, Meta, StoredPassage, Vectors
from rag_indexer.domain.manifest import FileState, Manifest, Stamp, proving
from rag_indexer.domain.ports import Content, Encoder, Folder, Made, Parser, Terms, Unreadable

_IDS = uuid.UUID("6f1c7a54-5f0e-4c55-9f0b-3b8f5a6f0a11")
_SEPARATOR = " > "
_ENCODED_AT_ONCE = 128
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Scanned:
    """The folder as it was: what is known of each file, without its passages, and what was left out, with reasons."""

    files: dict[str, FileState]
    skipped: list[str]

    @property
    def hashes(self) -> dict[str, str]:
        return {path: state.hash for path, state in self.files.items()}


@dataclass(frozen=True, slots=True)
class Parsed:
    path: str
    state: FileState
    passages: Sequence[StoredPassage]


class Reading:
    def __init__(self, parser: Parser, encoder: Encoder, terms: Terms) -> None:
        self._parser = parser
        self._encoder = encoder
        self._terms = terms
        self._threads: WeakKeyDictionary[Folder, ThreadPoolExecutor] = WeakKeyDictionary()
        """Each folder has its own, for as long as it is read: one on a share may hang, or be slow."""

    @property
    def encoder(self) -> Encoder:
        return self._encoder

    @property
    def fingerprint(self) -> str:
        return f"{self._encoder.fingerprint} {self._terms.fingerprint} {self._parser.fingerprint}"

    async def scanned(
        self, folder: Folder, known: Manifest, now: float, progress: Callable[[int, int], None]
    ) -> Scanned:
        """As `scan`, in a thread."""
        threads = self._of(folder)
        return await asyncio.get_running_loop().run_in_executor(threads, self.scan, folder, known, now, progress)

    def scan(self, folder: Folder, known: Manifest, now: float, progress: Callable[[int, int], None]) -> Scanned:
        """
        Read every file once, but for those whose stamp proves that they are as `known`. Blocks.

        `now` is in unix seconds.
        """
        listing = folder.listing()
        found = Scanned({}, list(listing.skipped))
        for number, path in enumerate(listing.paths):
            progress(number, len(listing.paths))
            before = known.get(path)
            if before is not None and before.stamp is not None and folder.stamp(path) == before.stamp:
                found.files[path] = before
                continue
            try:
                found.files[path] = _state(folder.read(path), now)
            except Unreadable as reason:
                found.skipped.append(f"{path}: {reason}")
        return found

    async def parsed(self, folder: Folder, path: str, *, collection: str, now: float) -> Parsed:
        """
        The file's passages, or why it has none.

        Raises Unreadable when it may be otherwise another time: the file may have changed since it was scanned.
        """
        content = await asyncio.get_running_loop().run_in_executor(self._of(folder), folder.read, path)
        state = _state(content, now)
        try:
            document = await self._parser.parse(path, content.data)
        except Unreadable as reason:
            if reason.passing:
                raise
            return Parsed(path, msgspec.structs.replace(state, unreadable=str(reason)), [])
        passages = await asyncio.to_thread(_passages, path, state.hash, document, content, collection)
        return Parsed(path, msgspec.structs.replace(state, chunks=len(passages)), passages)

    async def made(self, files: Sequence[Parsed]) -> list[Made]:
        """Ready to be stored. Raises EncoderAway."""
        passages = [passage for file in files for passage in file.passages]
        dense: list[list[float]] = []
        for start in range(0, len(passages), _ENCODED_AT_ONCE):
            texts = [passage.text for passage in passages[start : start + _ENCODED_AT_ONCE]]
            dense += await self._encoder.encode(texts, kind="passage")
        sparse = await asyncio.to_thread(lambda: [self._terms.of_passage(searchable(one)) for one in passages])
        entries = map(Entry, passages, map(Vectors, sparse, dense))
        return [Made(file.path, file.state, [next(entries) for _ in file.passages]) for file in files]

    def moved(self, path: str, state: FileState, entries: Iterable[Entry]) -> Made:
        """A file's entries as those of the same content at `path`: what a build from nothing would have made there."""
        seen: dict[str, int] = {}
        ordered = sorted(entries, key=lambda one: (one.passage.page or 0, one.passage.first_line))
        return Made(path, state, [self._relabelled(entry, path, seen) for entry in ordered])

    def _of(self, folder: Folder) -> ThreadPoolExecutor:
        if (threads := self._threads.get(folder)) is None:
            threads = self._threads[folder] = ThreadPoolExecutor(_THREADS, thread_name_prefix="folder")
        return threads

    def _relabelled(self, entry: Entry, path: str, seen: dict[str, int]) -> Entry:
        before = entry.passage
        passage = msgspec.structs.replace(
            before,
            id=_id(path, before.heading, before.text, seen),
            path=path,
            title=_named(path, before.type) if before.untitled else before.title,
        )
        return Entry(passage, Vectors(self._terms.of_passage(searchable(passage)), entry.vectors.dense))


def searchable(passage: StoredPassage) -> str:
    """The text for BM25: with the title and the headings above, which help it and would hurt the dense vector."""
    return f"{passage.title}\n{passage.heading}\n{passage.text}"


def _passages(
    path: str, file_hash: str, document: Document, content: Content, collection: str
) -> Sequence[StoredPassage]:
    seen: dict[str, int] = {}
    about = _About(path, file_hash, document, {**document.meta, **content.meta}, content.stamp, collection)
    return [_passage(about, chunk, seen) for chunk in document.chunks]


@dataclass(frozen=True, slots=True)
class _About:
    path: str
    file_hash: str
    document: Document
    meta: Meta
    stamp: Stamp | None
    collection: str


def _passage(about: _About, chunk: Chunk, seen: dict[str, int]) -> StoredPassage:
    heading = _SEPARATOR.join(chunk.headings)
    return StoredPassage(
        id=_id(about.path, heading, chunk.text, seen),
        path=about.path,
        file_hash=about.file_hash,
        title=about.document.title or _named(about.path, about.document.type),
        untitled=not about.document.title,
        heading=heading,
        anchor=chunk.anchor,
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        text=chunk.text,
        page=chunk.page,
        type=about.document.type,
        modified=about.stamp.modified / 1e9 if about.stamp else None,
        meta=about.meta,
        content_hash=_hash(chunk.text.encode("utf-8", "surrogatepass"))[:16],
        collection=about.collection,
    )


def _named(path: str, kind: str) -> str:
    """A file's name as a title; of source code with its suffix, as it is spoken of."""
    return PurePosixPath(path).name if kind == "code" else PurePosixPath(path).stem


def _id(path: str, heading: str, text: str, seen: dict[str, int]) -> str:
    """From the content alone, so that a passage keeps its id when the index is built again."""
    key = f"{path}\0{heading}\0{text}"
    seen[key] = seen.get(key, 0) + 1
    return str(uuid.uuid5(_IDS, f"{key}\0{seen[key]}"))


def _state(content: Content, now: float) -> FileState:
    said = msgspec.json.encode(content.meta, order="sorted") if content.meta else b""
    size = len(content.data)
    # With the length, because bytes moved from one of them to the other would give the same sum.
    digest = _hash(b"%d:%b%b" % (size, content.data, said))
    return FileState(hash=digest, size=size, stamp=proving(content.stamp, now))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
