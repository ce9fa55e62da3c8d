"""What the gateway asks for on each chat: that its turn be opened, held, and stored or given up."""

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from session_store.domain.sessions import Sessions
from session_store.domain.turns import Turns
from session_store.routes.leaving import while_there


@post(turn_wire.OPEN.route, status_code=turn_wire.OPEN.status)
async def open_turn(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    data: JSONBody[turn_wire.OpenTurn],
    turns: NamedDependency[Turns],
    request: Request[Any, Any, Any],
) -> turn_wire.TurnOpened:
    return await while_there(request, turns.open(owner, session_id, data))


@post(turn_wire.COMMIT.route, status_code=turn_wire.COMMIT.status)
async def commit_turn(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    data: JSONBody[turn_wire.CommitTurn],
    turns: NamedDependency[Turns],
) -> turn_wire.TurnCommitted:
    return await turns.commit(owner, session_id, data)


@post(turn_wire.RENEW.route, status_code=turn_wire.RENEW.status)
async def renew_turn(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    data: JSONBody[turn_wire.HeldTurn],
    turns: NamedDependency[Turns],
) -> turn_wire.TurnRenewed:
    return await turns.renew(owner, session_id, data)


@post(turn_wire.ABANDON.route, status_code=turn_wire.ABANDON.status)
async def abandon_turn(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    data: JSONBody[turn_wire.HeldTurn],
    turns: NamedDependency[Turns],
) -> turn_wire.TurnAbandoned:
    return await turns.abandon(owner, session_id, data)


@get(wire.STATS.route, status_code=wire.STATS.status)
async def session_stats(owner: NamedDependency[str], sessions: NamedDependency[Sessions]) -> wire.Stats:
    return await sessions.stats(owner)


ROUTES = [open_turn, commit_turn, renew_turn, abandon_turn, session_stats]
