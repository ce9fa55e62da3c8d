"""What the rag-indexer's tests are made of: passages, encoders that can be held, a whole service on real Edge."""

import asyncio
import hashlib
import math
import re
import threading
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.adapters.edge_passages import edge_collections
from rag_indexer.adapters.folder import AllowedFolders
from rag_indexer.adapters.upload_shelf import UploadShelf
from rag_indexer.app import Parts, create_app, vector_stores
from rag_indexer.domain.building import Building, Clock
from rag_indexer.domain.builds import Builds
from rag_indexer.domain.documents import Document, Entry, Sparse, StoredPassage, Vectors
from rag_indexer.domain.files import Files
from rag_indexer.domain.jobs import Jobs
from rag_indexer.domain.manifest import FileState
from rag_indexer.domain.ports import BuildOutcome, Collections, Encoder, Folders, Kind, Made, Record, SearchOutcome
from rag_indexer.domain.progress import PATIENCE_SECONDS
from rag_indexer.domain.reading import Reading
from rag_indexer.domain.recollections import Candidates, Kept, Ranges, Recollections
from rag_indexer.domain.renewals import Renewals
from rag_indexer.domain.searches import Searches
from rag_indexer.domain.sources import Sources
from rag_indexer.domain.store_files import StoreFiles
from rag_indexer.domain.uploads import Uploads
from rag_indexer.domain.vector_stores import VectorStores
from rag_indexer.domain.watching import Watching
from sage_chassis.health import Health
from sage_contracts.errors import EncoderAway
from tests.fakes.apps import served
from tests.rag_indexer.text_parser import TextParser

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIMENSIONS = 64


def passage(path: str, text: str = "text", *, file_hash: str = "h") -> StoredPassage:
    return StoredPassage(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{path} {text}")),
        path=path,
        file_hash=file_hash,
        title="Title",
        heading="A > B",
        anchor="b",
        first_line=1,
        last_line=2,
        text=text,
    )


def entry(path: str, text: str = "text", *, file_hash: str = "h") -> Entry:
    dense = counted(text)
    return Entry(passage(path, text, file_hash=file_hash), Vectors(Bm25Terms().of_passage(text), dense))


def query(text: str) -> Vectors:
    return Vectors(Bm25Terms().of_query(text), counted(text))


def record(**changes: object) -> Record:
    fields: dict[str, object] = {
        "fingerprint": "f",
        "encoder": "words",
        "dimensions": DIMENSIONS,
        "source_dir": "/docs",
        "num_documents": 1,
        "num_chunks": 1,
        "created_at": NOON,
        "updated_at": NOON,
        **changes,
    }
    return Record(**fields)  # type: ignore[arg-type]


class WordsEncoder:
    """A tiny encoder that can be held, and told to fail: a text's words, each counted at one of a few places."""

    name = "words"

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """Happens after the folder was scanned and before its files are read."""
        self.fails_with: Exception | None = None
        self.fails_after: int | None = None
        """So many texts it encodes, and is away then."""
        self.reached = threading.Event()
        self._go = threading.Event()
        self._go.set()

    def hold(self) -> None:
        self.reached.clear()
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    @property
    def fingerprint(self) -> str:
        return self.name

    async def dimensions(self) -> int:
        self.meanwhile()
        return DIMENSIONS

    async def encode(self, texts: Sequence[str], *, kind: Kind) -> list[list[float]]:
        return await asyncio.to_thread(self._encoded, texts)

    def _encoded(self, texts: Sequence[str]) -> list[list[float]]:
        self.encoded += texts
        if any("\n" in text for text in texts):  # a passage: questions of one line are not held
            self.reached.set()
            assert self._go.wait(120), "held for too long"
        if self.fails_after is not None and len(self.encoded) > self.fails_after:
            raise EncoderAway("the encoder is away")
        if self.fails_with is not None:
            raise self.fails_with
        return [counted(text) for text in texts]


def counted(text: str) -> list[float]:
    counts = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        counts[_number(word) % DIMENSIONS] += 1.0
    length = math.hypot(*counts) or 1.0
    return [count / length for count in counts]


def _number(word: str) -> int:
    return int(hashlib.sha256(word.encode()).hexdigest()[:7], 16)


class WordTerms:
    """Terms without Edge: for tests that need no search."""

    fingerprint = "words"

    def of_passage(self, text: str) -> Sparse:
        return self.of_query(text)

    def of_query(self, text: str) -> Sparse:
        numbers = sorted({_number(word) for word in text.split()})
        return Sparse(numbers, [1.0] * len(numbers))


class NoRecollections:
    """For tests of what has nothing to do with memory."""

    async def put(self, kept: Sequence[Kept]) -> None: ...

    async def search(self, tenant: str, query: Vectors, *, limit: int, within: Ranges | None = None) -> Candidates:
        return Candidates((), ())

    async def remove(self, tenant: str, ids: Collection[str] | None, *, keep: Collection[str] = ()) -> int:
        return 0


@dataclass
class Tally:
    searches: Counter[str] = field(default_factory=Counter)
    builds: Counter[str] = field(default_factory=Counter)
    chunks: int = 0

    def searched(self, outcome: SearchOutcome, seconds: float) -> None:
        self.searches[outcome] += 1

    def built(self, outcome: BuildOutcome, seconds: float) -> None:
        self.builds[outcome] += 1

    def serving(self, chunks: int) -> None:
        self.chunks = chunks


class NoChanges:
    """A watcher of folders in which nothing ever changes until it is told to say so."""

    def __init__(self) -> None:
        self.watched: list[str] = []
        self.following = 0
        self._changes: asyncio.Queue[None] = asyncio.Queue()

    def change(self) -> None:
        self._changes.put_nowait(None)

    async def changes(self, path: str) -> AsyncGenerator[None]:
        self.watched.append(path)
        self.following += 1
        try:
            while True:
                await self._changes.get()
                yield
        finally:
            self.following -= 1


@dataclass(frozen=True, slots=True)
class Desk:
    """The domain over one store, and what it was given."""

    builds: Builds
    renewals: Renewals
    uploads: Uploads
    watching: Watching
    searches: Searches
    collections: Collections
    parser: "CountingParser"
    encoder: WordsEncoder
    watcher: NoChanges
    tally: Tally
    docs: Path
    vector_stores: tuple[Files, StoreFiles, VectorStores]

    async def looked_at(self) -> None:
        """The build with which watching begins has ended, and nothing was to be done."""
        async with asyncio.timeout(30):
            while not self.tally.builds["already_exists"]:
                await asyncio.sleep(0.005)

    def served(self, recollections: Recollections | None = None) -> AbstractAsyncContextManager[str]:
        """A whole service on a socket; yields its URL."""
        parts = Parts(
            self.builds,
            self.uploads,
            self.watching,
            self.searches,
            *self.vector_stores,
            Health("rag-indexer"),
            recollections or Recollections(store=NoRecollections(), encoder=self.encoder, terms=WordTerms()),
        )
        return served(create_app, lambda _: nullcontext(parts))


class CountingParser(TextParser):
    """Notes which files were parsed."""

    def __init__(self) -> None:
        self.parsed: list[str] = []

    async def parse(self, path: str, data: bytes) -> Document:
        self.parsed.append(path)
        return await super().parse(path, data)


def desk_over(
    collections: Collections,
    docs: Path,
    data: Path,
    *,
    encoder: Encoder | None = None,
    default: bool = True,
    pause: float = 5.0,
    patience: float = PATIENCE_SECONDS,
    folders: Folders | None = None,
) -> Desk:
    words, tally, terms, parser, watcher = WordsEncoder(), Tally(), Bm25Terms(), CountingParser(), NoChanges()
    reading = Reading(parser, encoder or words, terms)
    clock = Clock(utc=lambda: datetime.now(UTC), monotonic=_ticking())
    folders = folders or AllowedFolders([str(docs)], max_file_bytes=100_000, suffixes=TextParser.suffixes)
    shelf = UploadShelf(data / "uploads")
    sources = Sources(folders, shelf, default=str(docs) if default else None, patience=patience)
    building = Building(reading, clock)
    jobs = Jobs(collections, building, clock, tally, patience=patience)
    renewals = Renewals(
        jobs=jobs, collections=collections, sources=sources, utc=clock.utc, pause=pause, patience=patience
    )
    builds = Builds(jobs=jobs, renewals=renewals, collections=collections, sources=sources, building=building)
    searches = Searches(
        collections=collections, encoder=encoder or words, terms=terms, monotonic=clock.monotonic, counts=tally
    )
    uploads = Uploads(shelf, renewals, suffixes=TextParser.suffixes, max_bytes=100_000)
    watching = Watching(collections, builds, renewals, watcher)
    stores = vector_stores(
        data,
        collections=collections,
        builds=builds,
        renewals=renewals,
        uploads=uploads,
        shelf=shelf,
        searches=searches,
    )
    return Desk(builds, renewals, uploads, watching, searches, collections, parser, words, watcher, tally, docs, stores)


@asynccontextmanager
async def edge_desk(
    folder: Path, *, encoder: Encoder | None = None, default: bool = True, pause: float = 5.0
) -> AsyncGenerator[Desk]:
    """A desk over Edge in `folder`/data, with documents in `folder`/docs."""
    docs = folder / "docs"
    docs.mkdir(exist_ok=True)
    async with edge_collections(folder / "data") as collections:
        desk = desk_over(collections, docs, folder / "data", encoder=encoder, default=default, pause=pause)
        try:
            yield desk
        finally:
            desk.encoder.release()
            await desk.watching.close()
            await desk.builds.close()


def made(*entries: Entry) -> list[Made]:
    """The files that these passages are of, each whole."""
    paths = dict.fromkeys(one.passage.path for one in entries)
    return [_file(path, [one for one in entries if one.passage.path == path]) for path in paths]


def _file(path: str, entries: list[Entry]) -> Made:
    state = FileState(hash=entries[0].passage.file_hash, size=1, chunks=len(entries))
    return Made(path, state, entries)


def written(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def _ticking() -> Callable[[], float]:
    """A clock that goes on by a second whenever it is read."""
    now = 0.0

    def read() -> float:
        nonlocal now
        now += 1.0
        return now

    return read
