"""The earlier gateway's routes: `/api/chat/*`."""

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody
from litestar.response.base import ASGIResponse

from chat_gateway.domain.simple import SimpleChat
from chat_gateway.routes.replies import responded
from sage_chassis.bodies import StrictRequest
from sage_chassis.client import ServiceClient
from sage_contracts import chat as wire
from sage_contracts import names, sessions
from sage_contracts.call import Empty

ALL_SESSIONS = sessions.ListQuery(limit=1000)
_NOTHING_GIVEN = sessions.NewSession()


@post(wire.MESSAGE.route, status_code=wire.MESSAGE.status)
async def send_message(
    request: StrictRequest,
    data: JSONBody[wire.SimpleMessage],
    simple_chat: NamedDependency[SimpleChat],
    key: Annotated[str | None, HeaderParameter(name=names.IDEMPOTENCY_KEY_HEADER)] = None,
) -> ASGIResponse:
    return await responded(request, simple_chat.answer(data, key))


@get(wire.CHAT_SESSIONS.route, status_code=wire.CHAT_SESSIONS.status)
async def list_chat_sessions(session_store: NamedDependency[ServiceClient]) -> list[sessions.Summary]:
    listed = await session_store.call(sessions.LIST, ALL_SESSIONS)
    return listed.sessions


@post(wire.CREATE_CHAT_SESSION.route, status_code=wire.CREATE_CHAT_SESSION.status)
async def create_chat_session(
    session_store: NamedDependency[ServiceClient], data: JSONBody[sessions.NewSession] = _NOTHING_GIVEN
) -> sessions.Session:
    return await session_store.call(sessions.CREATE, data)


@get(wire.READ_CHAT_SESSION.route, status_code=wire.READ_CHAT_SESSION.status)
async def read_chat_session(
    session_id: FromPath[str], session_store: NamedDependency[ServiceClient]
) -> sessions.Session:
    return await session_store.call(sessions.READ, sessions.ReadQuery(), session_id=names.session_id(session_id))


@delete(wire.DELETE_CHAT_SESSION.route, status_code=wire.DELETE_CHAT_SESSION.status)
async def delete_chat_session(
    session_id: FromPath[str], session_store: NamedDependency[ServiceClient]
) -> sessions.SessionDeleted:
    return await session_store.call(sessions.DELETE, Empty(), session_id=names.session_id(session_id))


@post(wire.CLEAR_CHAT_SESSION.route, status_code=wire.CLEAR_CHAT_SESSION.status)
async def clear_chat_session(
    session_id: FromPath[str], session_store: NamedDependency[ServiceClient]
) -> sessions.SessionCleared:
    return await session_store.call(sessions.CLEAR, Empty(), session_id=names.session_id(session_id))


@patch(wire.RETITLE_CHAT_SESSION.route, status_code=wire.RETITLE_CHAT_SESSION.status)
async def retitle_chat_session(
    session_id: FromPath[str], data: JSONBody[sessions.Retitle], session_store: NamedDependency[ServiceClient]
) -> sessions.Retitled:
    return await session_store.call(sessions.RETITLE, data, session_id=names.session_id(session_id))


ROUTES = [
    send_message,
    list_chat_sessions,
    create_chat_session,
    read_chat_session,
    delete_chat_session,
    clear_chat_session,
    retitle_chat_session,
]
