"""Passages, found by rag-indexer."""

from chat_gateway.domain.ports import Passages
from sage_chassis.client import ServiceClient
from sage_contracts import index
from sage_contracts.chat import Retrieval
from sage_contracts.index import Found, SearchRequest

TOP_K = 4


class IndexedPassages(Passages):
    def __init__(self, indexer: ServiceClient) -> None:
        self._indexer = indexer

    async def search(self, question: str, asked: Retrieval) -> Found:
        request = SearchRequest(
            query=question,
            top_k=TOP_K if asked.top_k is None else asked.top_k,
            collection=asked.collection,
            filters=asked.filters,
        )
        return await self._indexer.call(index.INTERNAL_SEARCH, request)
