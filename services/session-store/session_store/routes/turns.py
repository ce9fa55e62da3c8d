"""What the gateway asks for on each chat: a conversation's context, and that its new turn be stored."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sage_contracts import sessions as wire
from session_store.domain.remembering import Remembering
from session_store.domain.sessions import Sessions

_NOTHING_ASKED = wire.ContextRequest()


@post(wire.CONTEXT.route, status_code=wire.CONTEXT.status)
async def read_context(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    remembering: NamedDependency[Remembering],
    data: JSONBody[wire.ContextRequest] = _NOTHING_ASKED,
) -> wire.SessionContext:
    return await remembering.context(owner, session_id, data)


@post(wire.COMMIT.route, status_code=wire.COMMIT.status)
async def commit_turn(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    data: JSONBody[wire.Turn],
    sessions: NamedDependency[Sessions],
) -> wire.TurnStored:
    return await sessions.commit(owner, session_id, data)


@get(wire.STATS.route, status_code=wire.STATS.status)
async def session_stats(owner: NamedDependency[str], sessions: NamedDependency[Sessions]) -> wire.Stats:
    return await sessions.stats(owner)


ROUTES = [read_context, commit_turn, session_stats]
