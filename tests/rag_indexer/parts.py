"""What the rag-indexer's tests are made of: passages, encoders that can be held, a whole service on real Edge."""

import asyncio
import hashlib
import math
import re
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.adapters.edge_passages import edge_passages
from rag_indexer.adapters.folder import AllowedFolders
from rag_indexer.adapters.text_parser import TextParser
from rag_indexer.app import Parts, create_app
from rag_indexer.domain.building import Building, Clock
from rag_indexer.domain.builds import Builds
from rag_indexer.domain.documents import Entry, Sparse, StoredPassage, Vectors
from rag_indexer.domain.ports import BuildOutcome, Encoder, Kind, Passages, Record, SearchOutcome
from rag_indexer.domain.reading import Reading
from rag_indexer.domain.searches import Searches
from sage_chassis.health import Health
from tests.fakes.cluster import serve

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIMENSIONS = 64


def passage(path: str, text: str = "text", *, file_hash: str = "h") -> StoredPassage:
    return StoredPassage(
        id=str(hashlib.md5(f"{path} {text}".encode(), usedforsecurity=False).hexdigest()),
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
        self.fails_with: Exception | None = None
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
        return DIMENSIONS

    async def encode(self, texts: Sequence[str], *, kind: Kind) -> list[list[float]]:
        return await asyncio.to_thread(self._encoded, texts)

    def _encoded(self, texts: Sequence[str]) -> list[list[float]]:
        self.encoded += texts
        if any("\n" in text for text in texts):  # a passage: questions of one line are not held
            self.reached.set()
            assert self._go.wait(30), "held for too long"
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


@dataclass(frozen=True, slots=True)
class Desk:
    """The domain over one store, and what it was given."""

    builds: Builds
    searches: Searches
    passages: Passages
    encoder: WordsEncoder
    tally: Tally
    docs: Path

    def served(self) -> AbstractAsyncContextManager[str]:
        """A whole service on a socket; yields its URL."""
        return serve(create_app(nullcontext(Parts(self.builds, self.searches, Health("rag-indexer")))))


def desk_over(passages: Passages, docs: Path, *, encoder: Encoder | None = None, default: bool = True) -> Desk:
    words, tally, terms = WordsEncoder(), Tally(), Bm25Terms()
    reading = Reading(TextParser(), encoder or words, terms)
    clock = Clock(utc=lambda: datetime.now(UTC), monotonic=_ticking())
    folders = AllowedFolders([str(docs)], max_file_bytes=100_000, suffixes=TextParser.suffixes)
    return Desk(
        Builds(
            passages=passages,
            folders=folders,
            building=Building(passages, reading, clock),
            default_source=str(docs) if default else None,
            clock=clock,
            counts=tally,
        ),
        Searches(
            passages=passages,
            encoder=encoder or words,
            terms=terms,
            fingerprint=reading.fingerprint,
            monotonic=clock.monotonic,
            counts=tally,
        ),
        passages,
        words,
        tally,
        docs,
    )


@asynccontextmanager
async def edge_desk(folder: Path, *, encoder: Encoder | None = None, default: bool = True) -> AsyncGenerator[Desk]:
    """A desk over Edge in `folder`/data, with documents in `folder`/docs."""
    docs = folder / "docs"
    docs.mkdir(exist_ok=True)
    async with edge_passages(folder / "data", collection="docs") as passages:
        desk = desk_over(passages, docs, encoder=encoder, default=default)
        try:
            yield desk
        finally:
            desk.encoder.release()
            await desk.builds.close()


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
