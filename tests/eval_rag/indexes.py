"""The three corpora in real indexes of the embedded store, made by the encoder under test, and searches over them."""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.adapters.edge_passages import edge_collections
from rag_indexer.adapters.folder import AllowedFolders
from rag_indexer.adapters.parser_pool import ParserLimits, parser_pool
from rag_indexer.adapters.upload_shelf import UploadShelf
from rag_indexer.domain.building import Building, Clock
from rag_indexer.domain.builds import Builds
from rag_indexer.domain.jobs import Jobs
from rag_indexer.domain.ports import Collections, Encoder
from rag_indexer.domain.reading import Reading
from rag_indexer.domain.renewals import Renewals
from rag_indexer.domain.reranking import Reranker
from rag_indexer.domain.searches import Ranking, Searches
from rag_indexer.domain.sources import Sources
from rag_indexer.metrics import IndexMetrics
from sage_contracts.index import BuildRequest

MAX_FILE_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Indexes:
    collections: Collections
    encoder: Encoder
    terms: Bm25Terms
    chunks: dict[str, int]
    seconds: float

    def searches(self, ranking: Ranking, reranker: Reranker | None = None) -> Searches:
        return Searches(
            collections=self.collections,
            encoder=self.encoder,
            terms=self.terms,
            monotonic=time.monotonic,
            counts=IndexMetrics(CollectorRegistry()),
            reranker=reranker,
            ranking=ranking,
        )


@asynccontextmanager
async def indexes(folder: Path, encoder: Encoder, corpora: dict[str, Path]) -> AsyncGenerator[Indexes]:
    """Each corpus as a collection of its name, below `folder`."""
    terms = Bm25Terms()
    clock = Clock(utc=lambda: datetime.now(UTC), monotonic=time.monotonic)
    async with AsyncExitStack() as opened:
        collections = await opened.enter_async_context(edge_collections(folder))
        parser = await opened.enter_async_context(parser_pool(ParserLimits(processes=1, megabytes=512, seconds=30)))
        roots = [str(path) for path in corpora.values()]
        folders = AllowedFolders(roots, max_file_bytes=MAX_FILE_BYTES, suffixes=parser.suffixes)
        sources = Sources(folders, UploadShelf(folder / "uploads"), default=None)
        building = Building(Reading(parser, encoder, terms), clock)
        jobs = Jobs(collections, building, clock, IndexMetrics(CollectorRegistry()))
        renewals = Renewals(jobs=jobs, collections=collections, sources=sources, utc=clock.utc)
        builds = Builds(jobs=jobs, renewals=renewals, collections=collections, sources=sources, building=building)
        opened.push_async_callback(builds.close)
        began = time.monotonic()
        chunks: dict[str, int] = {}
        for name, path in corpora.items():
            built = await builds.build(BuildRequest(collection=name, source_dir=str(path)))
            chunks[name] = built.index.num_chunks if built.index else 0
        yield Indexes(collections, encoder, terms, chunks, time.monotonic() - began)
