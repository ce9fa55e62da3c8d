"""GET /v1/models, and one of them."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from chat_gateway.domain.resolving import Routes
from sage_contracts import chat as wire
from sage_contracts.chat import Model, ModelList


@get(wire.MODELS.route)
async def list_models(routes: NamedDependency[Routes]) -> ModelList:
    return ModelList(data=routes.models())


@get(wire.MODEL.route)
async def read_model(model_id: FromPath[str], routes: NamedDependency[Routes]) -> Model:
    return routes.model(model_id.removeprefix("/"))


ROUTES = [list_models, read_model]
