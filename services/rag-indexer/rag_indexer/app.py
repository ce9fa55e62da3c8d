"""The composition root of the rag-indexer."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from litestar import Litestar
from prometheus_client import CollectorRegistry

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.adapters.edge_passages import edge_collections
from rag_indexer.adapters.edge_recollections import edge_recollections
from rag_indexer.adapters.engine_encoder import Prefixes, engine_encoder
from rag_indexer.adapters.folder import AllowedFolders
from rag_indexer.adapters.folder_watcher import FolderWatcher
from rag_indexer.adapters.http_reranker import http_reranker
from rag_indexer.adapters.parser_pool import ParserLimits, parser_pool
from rag_indexer.adapters.store_cards import StoreCards
from rag_indexer.adapters.upload_shelf import UploadShelf
from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from rag_indexer.domain.building import Building, Clock
from rag_indexer.domain.builds import Builds
from rag_indexer.domain.files import Files
from rag_indexer.domain.jobs import Jobs
from rag_indexer.domain.ports import Collections, Encoder
from rag_indexer.domain.reading import Reading
from rag_indexer.domain.recollections import Recollections, RecollectionStore
from rag_indexer.domain.renewals import Renewals
from rag_indexer.domain.reranking import Reranker
from rag_indexer.domain.searches import Searches
from rag_indexer.domain.sources import Sources
from rag_indexer.domain.store_files import StoreFiles
from rag_indexer.domain.uploads import Uploads
from rag_indexer.domain.vector_stores import VectorStores
from rag_indexer.domain.watching import Watching
from rag_indexer.metrics import IndexMetrics
from rag_indexer.routes import documents, index, memory, search
from rag_indexer.routes import files as file_routes
from rag_indexer.routes import vector_stores as vector_store_routes
from rag_indexer.settings import PORT, PREFIX, Settings
from sage_chassis import app as chassis
from sage_chassis import logs, settings
from sage_chassis.background import Loop, every, running
from sage_chassis.health import Health
from sage_chassis.settings import Listen
from sage_contracts.errors import StoreUnavailable
from sage_contracts.service import Check

SERVICE = "rag-indexer"
SERVER_STORE = "rag_indexer.adapters.qdrant_passages"
SERVER_RECOLLECTIONS = "rag_indexer.adapters.qdrant_recollections"

WATCH_SECONDS = 5.0
"""How long it takes at most until a collection that was built after the start is watched as those before."""


@dataclass(frozen=True, slots=True)
class Parts:
    builds: Builds
    uploads: Uploads
    watching: Watching
    searches: Searches
    files: Files
    store_files: StoreFiles
    stores: VectorStores
    health: Health
    recollections: Recollections


@asynccontextmanager
async def assemble(config: Settings, registry: CollectorRegistry) -> AsyncGenerator[Parts]:
    """Everything, with the index opened; what has to be built is built in the background."""
    terms = Bm25Terms()
    clock = Clock(utc=lambda: datetime.now(UTC), monotonic=time.monotonic)
    counts = IndexMetrics(registry)
    shelf = UploadShelf(config.upload_folder)
    offline = WordllamaEncoder()
    async with (
        parser_pool(_limits(config)) as parser,
        _collections(config) as collections,
        _encoder(config, offline) as encoder,
        _reranker(config) as reranker,
        _recollections(config, f"{offline.fingerprint}-{terms.fingerprint}", await offline.dimensions()) as recollected,
    ):
        folders = AllowedFolders(config.roots, max_file_bytes=config.max_file_bytes, suffixes=parser.suffixes)
        reading = Reading(parser, encoder, terms)
        sources = Sources(folders, shelf, default=config.source_dir or None)
        building = Building(reading, clock)
        jobs = Jobs(collections, building, clock, counts)
        renewals = Renewals(jobs=jobs, collections=collections, sources=sources, utc=clock.utc)
        builds = Builds(jobs=jobs, renewals=renewals, collections=collections, sources=sources, building=building)
        watching = Watching(collections, builds, renewals, FolderWatcher())
        searches = Searches(
            collections=collections,
            encoder=encoder,
            terms=terms,
            monotonic=clock.monotonic,
            counts=counts,
            reranker=reranker,
        )
        uploads = Uploads(shelf, renewals, suffixes=parser.suffixes, max_bytes=config.max_file_bytes)
        files, store_files, stores = vector_stores(
            config.data_folder,
            collections=collections,
            builds=builds,
            renewals=renewals,
            uploads=uploads,
            shelf=shelf,
            searches=searches,
        )
        health = Health(SERVICE, required={"store": _check(collections)})
        try:
            recollections = Recollections(store=recollected, encoder=offline, terms=terms)
            async with running(*loops(config, renewals, watching)):
                yield Parts(builds, uploads, watching, searches, files, store_files, stores, health, recollections)
        finally:
            await watching.close()
            await builds.close()


def vector_stores(
    folder: Path,
    *,
    collections: Collections,
    builds: Builds,
    renewals: Renewals,
    uploads: Uploads,
    shelf: UploadShelf,
    searches: Searches,
) -> tuple[Files, StoreFiles, VectorStores]:
    """`folder` is where files lie, and what is said of stores."""

    def new_id() -> str:
        return uuid.uuid4().hex[:24]

    files = Files(UploadShelf(folder), max_bytes=uploads.max_bytes, new_id=new_id)
    store_files = StoreFiles(shelf=shelf, uploads=uploads, files=files, builds=builds, collections=collections)
    stores = VectorStores(
        cards=StoreCards(folder / "vector-stores"),
        collections=collections,
        builds=builds,
        renewals=renewals,
        searches=searches,
        files=files,
        store_files=store_files,
        new_id=new_id,
        now=lambda: datetime.now(UTC),
    )
    return files, store_files, stores


def loops(config: Settings, renewals: Renewals, watching: Watching) -> list[Loop]:
    """What is done at start, and from then on; each begins again by itself when it fails."""
    refreshed = asyncio.Event()

    async def refresh() -> None:
        if config.build_at_start:
            await renewals.refresh()
        refreshed.set()

    async def watch() -> None:
        await refreshed.wait()
        await every(WATCH_SECONDS, watching.begin_all)()

    return [refresh, watch] if config.watch else [refresh]


def create_app(parts: AbstractAsyncContextManager[Parts], registry: CollectorRegistry | None = None) -> Litestar:
    routes = [
        *(index.status, index.build, index.events, index.cancel, index.rollback, index.unwatch),
        *(index.collections, index.remove),
        *(documents.upload, documents.listing, documents.read, documents.remove),
        *(search.search, search.internal_search, search.passage),
        *vector_store_routes.ROUTES,
        *file_routes.ROUTES,
        *memory.ROUTES,
    ]
    return chassis.build(SERVICE, routes=routes, parts=parts, kind=Parts, registry=registry or CollectorRegistry())


def main() -> Litestar:
    logs.set_up(SERVICE, settings.load(Listen, prefix=PREFIX, defaults={"port": PORT}).log_level)
    registry = CollectorRegistry()
    return create_app(assemble(settings.load(Settings, prefix=PREFIX), registry), registry)


def _collections(config: Settings) -> AbstractAsyncContextManager[Collections]:
    if config.store == "edge":
        return edge_collections(config.data_folder)
    # Only here, because qdrant-client costs 60 MB of memory and most of a second, which local mode must not pay.
    opened: Callable[..., AbstractAsyncContextManager[Collections]] = import_module(SERVER_STORE).qdrant_collections
    return opened(config.qdrant_url, config.qdrant_api_key or None)


def _recollections(
    config: Settings, fingerprint: str, dimensions: int
) -> AbstractAsyncContextManager[RecollectionStore]:
    if config.store == "edge":
        return edge_recollections(config.data_folder / "memory", fingerprint=fingerprint, dimensions=dimensions)
    opened: Callable[..., AbstractAsyncContextManager[RecollectionStore]]
    opened = import_module(SERVER_RECOLLECTIONS).qdrant_recollections
    return opened(config.qdrant_url, config.qdrant_api_key or None, fingerprint=fingerprint, dimensions=dimensions)


def _encoder(config: Settings, offline: WordllamaEncoder) -> AbstractAsyncContextManager[Encoder]:
    if not config.embedding_model:
        return nullcontext(offline)
    prefixes = Prefixes(query=config.embedding_query_prefix, passage=config.embedding_passage_prefix)
    return engine_encoder(config.chat_gateway_url, config.embedding_model, prefixes)


def _reranker(config: Settings) -> AbstractAsyncContextManager[Reranker | None]:
    if not config.rerank_url:
        return nullcontext(None)
    return http_reranker(config.rerank_url, config.rerank_model, seconds=config.rerank_seconds)


def _limits(config: Settings) -> ParserLimits:
    return ParserLimits(
        processes=config.parser_processes, megabytes=config.parser_megabytes, seconds=config.parser_seconds
    )


def _check(collections: Collections) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        try:
            names = await collections.names()
        except StoreUnavailable as error:
            return Check(ok=False, detail=error.message)
        return Check(ok=True, detail=None if names else "no index yet")

    return check
