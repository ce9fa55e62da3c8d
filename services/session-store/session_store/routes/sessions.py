"""Conversations as clients know them: `/sessions…`."""

from typing import Any

from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sage_chassis import bodies
from sage_contracts import sessions as wire
from session_store.domain.branching import Branching
from session_store.domain.sessions import Sessions

_NOTHING_GIVEN = wire.NewSession()
_AT_THE_END = wire.Fork()


@get(wire.LIST.route, status_code=wire.LIST.status)
async def list_sessions(
    owner: NamedDependency[str], request: Request[Any, Any, Any], sessions: NamedDependency[Sessions]
) -> wire.Listed:
    return await sessions.page(owner, bodies.query(request, wire.ListQuery))


@post(wire.CREATE.route, status_code=wire.CREATE.status)
async def create_session(
    owner: NamedDependency[str], sessions: NamedDependency[Sessions], data: JSONBody[wire.NewSession] = _NOTHING_GIVEN
) -> wire.Session:
    return await sessions.create(owner, data)


@get(wire.READ.route, status_code=wire.READ.status)
async def read_session(
    request: Request[Any, Any, Any],
    owner: NamedDependency[str],
    session_id: FromPath[str],
    sessions: NamedDependency[Sessions],
) -> wire.Session:
    return await sessions.read(owner, session_id, bodies.query(request, wire.ReadQuery))


@delete(wire.DELETE.route, status_code=wire.DELETE.status)
async def delete_session(
    owner: NamedDependency[str], session_id: FromPath[str], sessions: NamedDependency[Sessions]
) -> wire.SessionDeleted:
    return await sessions.delete(owner, session_id)


@post(wire.CLEAR.route, status_code=wire.CLEAR.status)
async def clear_session(
    owner: NamedDependency[str], session_id: FromPath[str], sessions: NamedDependency[Sessions]
) -> wire.SessionCleared:
    return await sessions.clear(owner, session_id)


@patch(wire.RETITLE.route, status_code=wire.RETITLE.status)
async def retitle_session(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    data: JSONBody[wire.Retitle],
    sessions: NamedDependency[Sessions],
) -> wire.Retitled:
    return await sessions.retitle(owner, session_id, data)


@post(wire.CLEANUP.route, status_code=wire.CLEANUP.status)
async def clean_up(
    owner: NamedDependency[str], request: Request[Any, Any, Any], sessions: NamedDependency[Sessions]
) -> wire.CleanedUp:
    return await sessions.clean_up(owner, bodies.query(request, wire.CleanupQuery))


@post(wire.FORK.route, status_code=wire.FORK.status)
async def fork_session(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    branching: NamedDependency[Branching],
    data: JSONBody[wire.Fork] = _AT_THE_END,
) -> wire.Branch:
    return await branching.fork(owner, session_id, data)


@get(wire.BRANCHES.route, status_code=wire.BRANCHES.status)
async def list_branches(
    owner: NamedDependency[str], session_id: FromPath[str], branching: NamedDependency[Branching]
) -> wire.Branches:
    return await branching.branches(owner, session_id)


@post(wire.SELECT.route, status_code=wire.SELECT.status)
async def select_branch(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    branch: FromPath[str],
    branching: NamedDependency[Branching],
) -> wire.Branch:
    return await branching.select(owner, session_id, branch)


ROUTES = [
    list_sessions,
    create_session,
    read_session,
    delete_session,
    clear_session,
    retitle_session,
    clean_up,
    fork_session,
    list_branches,
    select_branch,
]
