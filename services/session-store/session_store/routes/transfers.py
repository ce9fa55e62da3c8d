"""Sessions taken out and in: `/sessions/{id}/export`, `/sessions/import`."""

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from sage_chassis import bodies
from sage_contracts import sessions as wire
from session_store.domain.transfers.transfers import Transfers


@get(wire.EXPORT.route, status_code=wire.EXPORT.status)
async def export_session(
    request: Request[Any, Any, Any],
    owner: NamedDependency[str],
    session_id: FromPath[str],
    transfers: NamedDependency[Transfers],
) -> Response[Any]:
    """Offered as a file: browsers save what they are sent."""
    query = bodies.query(request, wire.ExportQuery)
    exported = await transfers.export(owner, session_id, query)
    name = f'attachment; filename="{session_id}.{query.format}.json"'
    return Response(exported, headers={"content-disposition": name})


@post(wire.IMPORT.route, status_code=wire.IMPORT.status)
async def import_sessions(
    request: Request[Any, Any, Any], owner: NamedDependency[str], transfers: NamedDependency[Transfers]
) -> wire.Imported:
    return await transfers.take_in(owner, bodies.decode(await request.body()))


ROUTES = [export_session, import_sessions]
