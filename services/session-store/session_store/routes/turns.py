"""What the gateway asks for on each chat: a conversation's context, and that its new turn be stored."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sage_contracts import sessions as wire
from sage_contracts.names import LOCAL_OWNER
from session_store.domain.memories import Memories
from session_store.domain.sessions import Sessions

_NOTHING_ASKED = wire.ContextRequest()


@post(wire.CONTEXT.route, status_code=wire.CONTEXT.status)
async def read_context(
    session_id: FromPath[str],
    memories: NamedDependency[Memories],
    data: JSONBody[wire.ContextRequest] = _NOTHING_ASKED,
) -> wire.SessionContext:
    return await memories.context(LOCAL_OWNER, session_id, data)


@post(wire.COMMIT.route, status_code=wire.COMMIT.status)
async def commit_turn(
    session_id: FromPath[str], data: JSONBody[wire.Turn], sessions: NamedDependency[Sessions]
) -> wire.TurnStored:
    return await sessions.commit(LOCAL_OWNER, session_id, data)


@get(wire.STATS.route, status_code=wire.STATS.status)
async def session_stats(sessions: NamedDependency[Sessions]) -> wire.Stats:
    return await sessions.stats(LOCAL_OWNER)


ROUTES = [read_context, commit_turn, session_stats]
