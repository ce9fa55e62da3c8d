"""The composition root of chat-gateway: the only module that knows every part."""

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
from litestar import Litestar
from prometheus_client import CollectorRegistry

from chat_gateway.adapters.fleet_source import FleetSource
from chat_gateway.adapters.indexed_passages import IndexedPassages
from chat_gateway.adapters.neighbours import ServiceNeighbours
from chat_gateway.adapters.openai_engine import OpenAIEngines, Patience, engine_session
from chat_gateway.adapters.redis_load import EVERY_SECONDS, RedisLoad
from chat_gateway.adapters.session_history import ANSWER_SECONDS, SessionHistory
from chat_gateway.domain.choosing import Chooser
from chat_gateway.domain.completions import Completions
from chat_gateway.domain.dispatching import Dispatch
from chat_gateway.domain.errands import Errands
from chat_gateway.domain.fleet import Fleet
from chat_gateway.domain.grounding import Grounding
from chat_gateway.domain.loads import Loads
from chat_gateway.domain.overviews import Overview
from chat_gateway.domain.resolving import Routes, Upstream
from chat_gateway.domain.simple import SimpleChat
from chat_gateway.domain.turns import Turns
from chat_gateway.domain.waiting import Lines
from chat_gateway.metrics import GatewayMetrics
from chat_gateway.routes import chat, models, overview, passthrough, simple_chat
from chat_gateway.settings import PORT, PREFIX, Settings
from sage_chassis import app as chassis
from sage_chassis import background, logs, redis_client, settings
from sage_chassis.bus import Bus
from sage_chassis.client import ServiceClient
from sage_chassis.health import Health
from sage_chassis.settings import Listen
from sage_contracts.service import Check

SERVICE = overview.SERVICE
CONTROL_PLANE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Parts:
    health: Health
    completions: Completions
    simple_chat: SimpleChat
    routes: Routes
    overview: Overview
    session_store: ServiceClient


@dataclass(frozen=True, slots=True)
class Services:
    """The other services, by what the gateway asks them for."""

    store: ServiceClient
    indexer: ServiceClient
    control_plane: ServiceClient

    def by_name(self) -> dict[str, ServiceClient]:
        return {"session-store": self.store, "rag-indexer": self.indexer, "control-plane": self.control_plane}


@asynccontextmanager
async def assemble(config: Settings, registry: CollectorRegistry) -> AsyncGenerator[Parts]:
    """Nothing else need be there yet: the gateway starts, tells what is missing, and goes on when it comes."""
    async with engine_session() as to_engines, service_session() as to_services:
        redis = redis_client.connect(config.redis_url)
        services = _services(config, to_services)
        fleet = Fleet()
        source = FleetSource(fleet, services.control_plane, Bus(redis), poll_seconds=config.fleet_poll_seconds)
        loads = Loads()
        load = RedisLoad(redis, uuid.uuid4().hex, loads)
        errands = Errands()
        engines = OpenAIEngines(to_engines, _patience(config), answer_bytes=config.answer_bytes)
        await source.fetch()
        try:
            async with background.running(source.listen, source.follow, background.every(EVERY_SECONDS, load.exchange)):
                meter = GatewayMetrics(registry)
                dispatch = _dispatch(config, fleet, loads, engines, meter)
                yield _parts(config, fleet, services, errands, dispatch, meter=meter)
        finally:
            await errands.settled()
            await load.withdraw()
            await redis.aclose()


def service_session() -> aiohttp.ClientSession:
    """Without a limit: many turns may wait for others at once, and none of them may keep a commit from being sent."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


def create_app(parts: AbstractAsyncContextManager[Parts], registry: CollectorRegistry) -> Litestar:
    return chassis.build(
        SERVICE,
        routes=[*chat.ROUTES, *passthrough.ROUTES, *models.ROUTES, *overview.ROUTES, *simple_chat.ROUTES],
        parts=parts,
        kind=Parts,
        registry=registry,
    )


def main() -> Litestar:
    logs.set_up(SERVICE, settings.load(Listen, prefix=PREFIX, defaults={"port": PORT}).log_level)
    registry = CollectorRegistry()
    return create_app(assemble(settings.load(Settings, prefix=PREFIX), registry), registry)


def _parts(
    config: Settings,
    fleet: Fleet,
    services: Services,
    errands: Errands,
    dispatch: Dispatch,
    *,
    meter: GatewayMetrics,
) -> Parts:
    routes = Routes(fleet, _upstream(config))
    grounding = Grounding(
        IndexedPassages(services.indexer), budget_tokens=config.rag_budget_tokens, url_template=config.source_url
    )
    turns = Turns(
        SessionHistory(services.store, commit_seconds=config.commit_seconds),
        errands,
        meter,
        wait_seconds=config.turn_wait_seconds,
        required=config.session_required,
    )
    completions = Completions(
        routes,
        dispatch,
        turns,
        grounding=grounding,
        meter=meter,
        hints_at_workflows=config.workflow_hint,
        answer_bytes=config.answer_bytes,
    )
    return Parts(
        health=Health(SERVICE, optional={"fleet": _fleet_check(fleet, routes)}),
        completions=completions,
        simple_chat=SimpleChat(completions, now=lambda: datetime.now(UTC)),
        routes=routes,
        overview=Overview(fleet, routes, ServiceNeighbours(services.by_name(), services.store)),
        session_store=services.store,
    )


def _dispatch(config: Settings, fleet: Fleet, loads: Loads, engines: OpenAIEngines, meter: GatewayMetrics) -> Dispatch:
    return Dispatch(
        fleet,
        engines,
        meter,
        loads=loads,
        chooser=Chooser(fleet, loads, config.policy),
        lines=Lines(longest=config.queue_length, seconds=config.queue_seconds),
    )


def _services(config: Settings, http: aiohttp.ClientSession) -> Services:
    return Services(
        store=ServiceClient(http, config.session_store_url, name="session-store", timeout=ANSWER_SECONDS),
        indexer=ServiceClient(http, config.rag_indexer_url, name="rag-indexer", timeout=config.rag_seconds),
        control_plane=ServiceClient(
            http, config.control_plane_url, name="control-plane", timeout=CONTROL_PLANE_SECONDS
        ),
    )


def _patience(config: Settings) -> Patience:
    return Patience(
        connect=config.connect_seconds,
        first_byte=config.first_byte_seconds,
        idle=config.idle_seconds,
        answer=config.answer_seconds,
        stream=config.stream_seconds,
        ping=config.ping_seconds,
    )


def _upstream(config: Settings) -> Upstream | None:
    """An address without a path is a server's, one with a path its OpenAI base already."""
    if not config.upstream_url:
        return None
    url = config.upstream_url.rstrip("/")
    return Upstream(
        url=url if urlsplit(url).path else url + "/v1",
        model=config.upstream_model or None,
        api_key=config.upstream_api_key or None,
    )


def _fleet_check(fleet: Fleet, routes: Routes) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        if not fleet.known:
            return Check(ok=False, detail="the control-plane has not told the fleet yet")
        if fleet.fetch_failed:
            return Check(ok=False, detail="the control-plane is away: the fleet is the last one heard of")
        return Check(ok=routes.can_chat(), detail=None if routes.can_chat() else "no engine is READY")

    return check
