"""The composition root of the rag-indexer."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module

from litestar import Litestar
from prometheus_client import CollectorRegistry

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.adapters.edge_passages import edge_passages
from rag_indexer.adapters.folder import AllowedFolders
from rag_indexer.adapters.text_parser import TextParser
from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from rag_indexer.domain.building import Building, Clock
from rag_indexer.domain.builds import Builds
from rag_indexer.domain.ports import Passages
from rag_indexer.domain.reading import Reading
from rag_indexer.domain.searches import COLLECTION, Searches
from rag_indexer.metrics import IndexMetrics
from rag_indexer.routes import index, search
from rag_indexer.settings import PORT, PREFIX, Settings
from sage_chassis import app as chassis
from sage_chassis import logs, settings
from sage_chassis.background import running
from sage_chassis.health import Health
from sage_chassis.settings import Listen
from sage_contracts.errors import StoreUnavailable
from sage_contracts.service import Check

SERVICE = "rag-indexer"
SERVER_STORE = "rag_indexer.adapters.qdrant_passages"


@dataclass(frozen=True, slots=True)
class Parts:
    builds: Builds
    searches: Searches
    health: Health


@asynccontextmanager
async def assemble(config: Settings, registry: CollectorRegistry) -> AsyncGenerator[Parts]:
    """Everything, with the index opened; what has to be built is built in the background."""
    encoder, terms = WordllamaEncoder(), Bm25Terms()
    parser = TextParser()
    reading = Reading(parser, encoder, terms)
    clock = Clock(utc=lambda: datetime.now(UTC), monotonic=time.monotonic)
    counts = IndexMetrics(registry)
    async with _store(config) as passages:
        builds = Builds(
            passages=passages,
            folders=AllowedFolders(config.roots, max_file_bytes=config.max_file_bytes, suffixes=parser.suffixes),
            building=Building(passages, reading, clock),
            default_source=config.source_dir or None,
            clock=clock,
            counts=counts,
        )
        searches = Searches(
            passages=passages,
            encoder=encoder,
            terms=terms,
            fingerprint=reading.fingerprint,
            monotonic=clock.monotonic,
            counts=counts,
        )
        try:
            async with running(*([builds.refresh] if config.build_at_start else [])):
                yield Parts(builds, searches, Health(SERVICE, required={"store": _check(passages)}))
        finally:
            await builds.close()


def create_app(parts: AbstractAsyncContextManager[Parts], registry: CollectorRegistry | None = None) -> Litestar:
    routes = [index.status, index.build, index.remove, search.search, search.internal_search]
    return chassis.build(SERVICE, routes=routes, parts=parts, kind=Parts, registry=registry or CollectorRegistry())


def main() -> Litestar:
    logs.set_up(SERVICE, settings.load(Listen, prefix=PREFIX, defaults={"port": PORT}).log_level)
    registry = CollectorRegistry()
    return create_app(assemble(settings.load(Settings, prefix=PREFIX), registry), registry)


def _store(config: Settings) -> AbstractAsyncContextManager[Passages]:
    if config.store == "edge":
        return edge_passages(config.data_folder, collection=COLLECTION)
    # Only here, because qdrant-client costs 60 MB of memory and most of a second, which local mode must not pay.
    opened: Callable[..., AbstractAsyncContextManager[Passages]] = import_module(SERVER_STORE).qdrant_passages
    key = config.qdrant_api_key or None
    return opened(config.qdrant_url, key, collection=COLLECTION)


def _check(passages: Passages) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        try:
            record = await passages.record()
        except StoreUnavailable as error:
            return Check(ok=False, detail=error.message)
        return Check(ok=True, detail=None if record else "no index yet")

    return check
