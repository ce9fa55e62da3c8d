"""The composition root of the session-store: the only module that knows every part."""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from litestar import Litestar
from prometheus_client import CollectorRegistry

from sage_chassis import app, background, logs, redis_client, settings
from sage_chassis.client import ServiceClient
from sage_chassis.health import Health
from sage_chassis.settings import Listen
from session_store.adapters.gateway_scribe import GatewayScribe
from session_store.adapters.indexed_recollections import IndexedRecollections
from session_store.adapters.redis_durability import RedisDurability
from session_store.adapters.redis_erasures import RedisErasures
from session_store.adapters.redis_index import RedisIndex, beside
from session_store.adapters.redis_sessions import RedisSessions
from session_store.adapters.redis_shelves import RedisShelves
from session_store.adapters.redis_tenants import RedisTenants
from session_store.adapters.redis_turns import RedisTurns
from session_store.adapters.tokenizer_files import TokenizerFiles
from session_store.domain.branching import Branching
from session_store.domain.erasing import Erasing
from session_store.domain.memories import Memories
from session_store.domain.memory.choosing import memories_over
from session_store.domain.memory.window import NewestDialogs
from session_store.domain.naming import Naming
from session_store.domain.records import MICROS
from session_store.domain.remembering import Remembering
from session_store.domain.sessions import Sessions
from session_store.domain.transfers.transfers import Transfers
from session_store.domain.turns import Times, Turns
from session_store.metrics import Metrics
from session_store.routes import memory
from session_store.routes import sessions as session_routes
from session_store.routes import transfers as transfer_routes
from session_store.routes import turns as turn_routes
from session_store.settings import PORT, PREFIX, Settings, read

SERVICE = "session-store"

SWEEP_SECONDS = 30.0

RECALL_SECONDS = 1.2
"""
How long a turn waits for the rag-indexer before it goes on with the window alone. The gateway waits 1.9 s for the turn.
"""


@dataclass(frozen=True, slots=True)
class Parts:
    health: Health
    sessions: Sessions
    branching: Branching
    turns: Turns
    remembering: Remembering
    transfers: Transfers


@asynccontextmanager
async def assemble(config: Settings, registry: CollectorRegistry) -> AsyncGenerator[Parts]:
    """Redis need not be there yet: the service starts, is not ready, and becomes so."""
    redis = redis_client.connect(config.redis_url)
    http = aiohttp.ClientSession()
    durability = RedisDurability(redis)
    ttl_ms = int(config.ttl_seconds * 1000)
    index = RedisIndex(redis)
    stored, held = RedisSessions(redis, index, ttl_ms=ttl_ms), RedisTurns(redis, index, ttl_ms=ttl_ms)
    tally = Metrics(registry)
    scribe = GatewayScribe(http, config.gateway_url, model=config.model)
    shelves = RedisShelves(redis)
    made = memories_over(
        _window(config),
        shelves,
        held,
        IndexedRecollections(ServiceClient(http, config.indexer_url, name="rag-indexer", timeout=RECALL_SECONDS)),
        RedisTenants(redis),
        tally=tally,
        clock=time.time,
        scribe=scribe if config.model else None,
    )
    memories = Memories(made.memories, config.memory_backend, tally)
    erasing = Erasing(memories, RedisErasures(redis), needed=True)
    ttl_us = int(config.ttl_seconds * MICROS)
    sessions = Sessions(stored, memories, erasing, tally, clock=time.time, ids=new_id, ttl_us=ttl_us)
    naming = Naming(stored, scribe) if config.titles == "model" else None
    turns = Turns(held, memories, tally, times=Times(time.time), ids=new_id, naming=naming)
    loops = [durability.tell_once, index.run, memories.run, background.every(SWEEP_SECONDS, erasing.sweep), *made.loops]
    if naming is not None:
        loops.append(naming.run)

    try:
        async with background.running(*loops):
            yield Parts(
                health=Health(
                    SERVICE,
                    required={"redis": lambda: redis_client.check(redis)},
                    optional={"durability": durability.check},
                ),
                sessions=sessions,
                branching=Branching(stored, clock=time.time),
                turns=turns,
                remembering=Remembering(memories, sessions, stored, shelves),
                transfers=Transfers(sessions, memories, shelves, clock=time.time, ids=new_id),
            )
    finally:
        await turns.close()
        async with beside():
            await index.told()
        await http.close()
        await redis.aclose()


def create_app(parts: AbstractAsyncContextManager[Parts], registry: CollectorRegistry | None = None) -> Litestar:
    return app.build(
        SERVICE,
        routes=[*session_routes.ROUTES, *transfer_routes.ROUTES, *memory.ROUTES, *turn_routes.ROUTES],
        parts=parts,
        kind=Parts,
        registry=registry or CollectorRegistry(),
    )


def main() -> Litestar:
    logs.set_up(SERVICE, settings.load(Listen, prefix=PREFIX, defaults={"port": PORT}).log_level)
    registry = CollectorRegistry()
    return create_app(assemble(read(), registry), registry)


def _window(config: Settings) -> NewestDialogs:
    tokenizers = TokenizerFiles(config.tokenizer_paths())
    return NewestDialogs(max_dialogs=config.max_dialogs, budget_tokens=config.budget_tokens, tokenizers=tokenizers)


def new_id() -> str:
    """96 random bits."""
    return secrets.token_hex(12)
