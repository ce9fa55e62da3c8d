"""Finding passages, for clients and for the other services."""

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from rag_indexer.domain.searches import Searches
from sage_contracts import index as wire


@post(wire.SEARCH.route, status_code=wire.SEARCH.status)
async def search(data: JSONBody[wire.SearchRequest], searches: NamedDependency[Searches]) -> wire.Found:
    return await searches.find(data)


@post(wire.INTERNAL_SEARCH.route, status_code=wire.INTERNAL_SEARCH.status)
async def internal_search(data: JSONBody[wire.SearchRequest], searches: NamedDependency[Searches]) -> wire.Found:
    return await searches.find(data)
