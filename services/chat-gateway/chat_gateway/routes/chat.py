"""POST /v1/chat/completions."""

from typing import Annotated

from litestar import post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter
from litestar.response.base import ASGIResponse

from chat_gateway.domain.completions import Completions
from chat_gateway.domain.requests import ask_of
from chat_gateway.routes.replies import is_explained, responded
from sage_chassis import bodies
from sage_chassis.bodies import StrictRequest
from sage_contracts import chat as wire
from sage_contracts.chat import ChatPeek
from sage_contracts.names import IDEMPOTENCY_KEY_HEADER, SESSION_ID_HEADER


@post(wire.CHAT_COMPLETIONS.route, status_code=wire.CHAT_COMPLETIONS.status)
async def create_completion(
    request: StrictRequest,
    completions: NamedDependency[Completions],
    session_header: Annotated[str | None, HeaderParameter(name=SESSION_ID_HEADER)] = None,
    key: Annotated[str | None, HeaderParameter(name=IDEMPOTENCY_KEY_HEADER)] = None,
) -> ASGIResponse:
    raw = await request.body()
    fields = bodies.decode_object(raw)
    peek = bodies.convert(fields, ChatPeek)
    ask = ask_of(raw, fields, peek, session_header, explained=is_explained(request), key=key)
    return await responded(request, completions.answer(ask))


ROUTES = [create_completion]
