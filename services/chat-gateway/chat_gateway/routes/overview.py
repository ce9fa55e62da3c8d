"""What the gateway tells of itself: `/` and `/health`."""

from litestar import Response, get
from litestar.di import NamedDependency

from chat_gateway.domain.overviews import Overview
from sage_chassis.health import version_of
from sage_contracts import chat, index, management, memory, sessions
from sage_contracts import service as wire
from sage_contracts.service import Health, Info

SERVICE = "chat-gateway"

ENDPOINTS = {
    "chat": chat.CHAT_COMPLETIONS.path,
    "completions": chat.COMPLETIONS.path,
    "embeddings": chat.EMBEDDINGS.path,
    "models": chat.MODELS.path,
    "sessions": sessions.LIST.path,
    "memory": memory.STATS.path,
    "index": index.STATUS.path,
    "search": index.SEARCH.path,
    "management": management.INFO.path,
    "health": wire.HEALTH.path,
}


@get(wire.INFO.route, status_code=wire.INFO.status)
async def read_info() -> Info:
    return Info(service="sage-gateway", version=version_of(SERVICE), endpoints=ENDPOINTS)


@get(wire.HEALTH.route, status_code=wire.HEALTH.status)
async def read_health(overview: NamedDependency[Overview]) -> Response[Health]:
    """503 only when no chat at all can be answered: what is degraded still serves."""
    health = await overview.health()
    return Response(health, status_code=503 if health.status == "unavailable" else 200)


ROUTES = [read_info, read_health]
