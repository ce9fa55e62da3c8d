"""GET /v1/models."""

from litestar import get
from litestar.di import NamedDependency

from chat_gateway.domain.resolving import Routes
from sage_contracts import chat as wire
from sage_contracts.chat import ModelList


@get(wire.MODELS.route)
async def list_models(routes: NamedDependency[Routes]) -> ModelList:
    return ModelList(data=routes.models())


ROUTES = [list_models]
