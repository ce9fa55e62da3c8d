"""The index: built, watched, rolled back, deleted."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.response import Stream

from rag_indexer.domain.builds import Builds, collection
from rag_indexer.domain.watching import Watching
from sage_chassis.bodies import StrictRequest, query
from sage_chassis.sse import HEADERS, told, with_pings
from sage_contracts import index as wire
from sage_contracts.sse import event

_CONFIGURED = wire.BuildRequest()
_DEFAULT = wire.CollectionQuery()


@get(wire.STATUS.route)
async def status(
    request: StrictRequest, builds: NamedDependency[Builds], watching: NamedDependency[Watching]
) -> wire.IndexStatus:
    asked = query(request, wire.CollectionQuery).collection
    return watching.told(asked, await builds.status(asked))


@post(wire.BUILD.route, status_code=wire.BUILD.status)
async def build(
    builds: NamedDependency[Builds],
    watching: NamedDependency[Watching],
    data: JSONBody[wire.BuildRequest] = _CONFIGURED,
) -> Response[wire.Built]:
    """An absent body asks for the configured folder. Started and not waited for is a 202."""
    built = await builds.build(data)
    if data.watch and not data.dry_run:
        await watching.begin(data.collection)
    return Response(built, status_code=202 if built.status == "building" else wire.BUILD.status)


@get(wire.EVENTS.route)
async def events(request: StrictRequest, builds: NamedDependency[Builds]) -> Stream:
    asked = query(request, wire.CollectionQuery).collection
    frames = with_pings(told(_frames(builds.events(asked))))
    return Stream(frames, media_type="text/event-stream", headers=HEADERS)


@post(wire.CANCEL.route, status_code=wire.CANCEL.status)
async def cancel(builds: NamedDependency[Builds], data: JSONBody[wire.CollectionQuery] = _DEFAULT) -> wire.Cancelled:
    return await builds.cancel(data.collection)


@post(wire.ROLLBACK.route, status_code=wire.ROLLBACK.status)
async def rollback(builds: NamedDependency[Builds], data: JSONBody[wire.CollectionQuery] = _DEFAULT) -> wire.RolledBack:
    return await builds.rollback(data.collection)


@delete(wire.UNWATCH.route, status_code=wire.UNWATCH.status)
async def unwatch(request: StrictRequest, watching: NamedDependency[Watching]) -> wire.Watching:
    return await watching.end(query(request, wire.CollectionQuery).collection)


@get(wire.COLLECTIONS.route)
async def collections(builds: NamedDependency[Builds]) -> wire.CollectionList:
    return await builds.listing()


@delete(wire.DELETE.route, status_code=wire.DELETE.status)
async def remove(
    request: StrictRequest, builds: NamedDependency[Builds], watching: NamedDependency[Watching]
) -> wire.IndexDeleted:
    """What is deleted is not watched any more either: the next change would bring it back."""
    asked = query(request, wire.CollectionQuery).collection
    deleted = await builds.delete(asked)
    await watching.forget(collection(asked))
    return deleted


async def _frames(found: AsyncGenerator[wire.BuildEvent]) -> AsyncGenerator[bytes]:
    async with aclosing(found):
        async for one in found:
            yield event(one)
