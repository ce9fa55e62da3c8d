"""Finding passages and opening them, for clients and for the other services."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from rag_indexer.domain.searches import Searches
from sage_chassis.bodies import StrictRequest, query
from sage_contracts import index as wire


@post(wire.SEARCH.route, status_code=wire.SEARCH.status)
async def search(data: JSONBody[wire.SearchRequest], searches: NamedDependency[Searches]) -> wire.Found:
    return await searches.find(data)


@post(wire.INTERNAL_SEARCH.route, status_code=wire.INTERNAL_SEARCH.status)
async def internal_search(data: JSONBody[wire.SearchRequest], searches: NamedDependency[Searches]) -> wire.Found:
    return await searches.find(data)


@get(wire.PASSAGE.route)
async def passage(
    request: StrictRequest, passage_id: FromPath[str], searches: NamedDependency[Searches]
) -> wire.Passage:
    return await searches.passage(passage_id, query(request, wire.PassageQuery).collection)
