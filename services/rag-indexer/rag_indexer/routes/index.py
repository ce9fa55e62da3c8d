"""Building, watching and deleting the index, as sage_contracts.index declares it."""

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from rag_indexer.domain.builds import Builds
from sage_contracts import index as wire

_CONFIGURED = wire.BuildRequest()


@get(wire.STATUS.route)
async def status(builds: NamedDependency[Builds]) -> wire.IndexStatus:
    return await builds.status()


@post(wire.BUILD.route, status_code=wire.BUILD.status)
async def build(
    builds: NamedDependency[Builds], data: JSONBody[wire.BuildRequest] = _CONFIGURED
) -> Response[wire.Built]:
    """An absent body asks for the configured folder. Started and not waited for is a 202."""
    built = await builds.build(data)
    return Response(built, status_code=202 if built.status == "building" else wire.BUILD.status)


@delete(wire.DELETE.route, status_code=wire.DELETE.status)
async def remove(builds: NamedDependency[Builds]) -> wire.IndexDeleted:
    return await builds.delete()
