"""What is the engine's alone: /v1/completions and /v1/embeddings."""

from litestar import post
from litestar.di import NamedDependency
from litestar.response.base import ASGIResponse

from chat_gateway.domain.completions import Completions
from chat_gateway.routes.replies import is_explained, responded
from sage_chassis import bodies
from sage_chassis.bodies import StrictRequest
from sage_contracts import chat as wire
from sage_contracts.chat import ModelPeek


@post(wire.COMPLETIONS.route, status_code=wire.COMPLETIONS.status)
async def create_text_completion(request: StrictRequest, completions: NamedDependency[Completions]) -> ASGIResponse:
    raw = await request.body()
    peek = bodies.convert(bodies.decode_object(raw), ModelPeek)
    explained = is_explained(request)
    return await responded(request, completions.pass_through("text_completion", "llm", raw, peek, explained=explained))


@post(wire.EMBEDDINGS.route, status_code=wire.EMBEDDINGS.status)
async def create_embeddings(request: StrictRequest, completions: NamedDependency[Completions]) -> ASGIResponse:
    raw = await request.body()
    peek = bodies.convert(bodies.decode_object(raw), ModelPeek)
    explained = is_explained(request)
    return await responded(request, completions.pass_through("embeddings", "embedding", raw, peek, explained=explained))


ROUTES = [create_text_completion, create_embeddings]
