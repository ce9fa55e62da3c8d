"""A search of a vector store in our words, and what was found in OpenAI's."""

from collections.abc import Sequence
from typing import Any

from rag_indexer.domain import attributes
from rag_indexer.domain.sources import UPLOADS
from rag_indexer.domain.uploads import upload_id
from sage_contracts import index
from sage_contracts import vector_stores as wire
from sage_contracts.errors import InvalidRequest


def request(asked: wire.StoreSearch, collection: str) -> index.SearchRequest:
    """Raises InvalidRequest."""
    wanted = attributes.wanted(asked.filters)
    return index.SearchRequest(
        query=_query(asked),
        top_k=asked.max_num_results,
        collection=collection,
        filters={"meta": wanted} if wanted else None,
    )


def hits(asked: wire.StoreSearch, passages: Sequence[index.Passage]) -> wire.StoreHits:
    """Those that are good enough, in the same order. Raises InvalidRequest."""
    least = _least_score(asked.ranking_options)
    found = [_hit(passage) for passage in passages if passage.score >= least]
    return wire.StoreHits(search_query=[_query(asked)], data=found)


def _query(asked: wire.StoreSearch) -> str:
    queries = [asked.query] if isinstance(asked.query, str) else asked.query
    if len(queries) != 1 or not 1 <= len(queries[0]) <= index.MAX_QUERY:
        raise InvalidRequest(f"query must be one text of 1 to {index.MAX_QUERY} letters", param="query")
    if asked.rewrite_query:
        raise InvalidRequest("queries are not rewritten here: leave rewrite_query out", param="rewrite_query")
    return queries[0]


def _least_score(options: dict[str, Any] | None) -> float:
    match (options or {}).get("score_threshold", 0.0):
        case int() | float() as least:
            return float(least)
    raise InvalidRequest("score_threshold must be a number", param="ranking_options")


def _hit(passage: index.Passage) -> wire.StoreHit:
    path = passage.source.path
    named = passage.meta.get(attributes.FILE_ID)
    uploaded = upload_id(passage.source.collection, path.removeprefix(UPLOADS))
    return wire.StoreHit(
        file_id=str(named or f"file-{uploaded}"),
        filename=path.removeprefix(UPLOADS),
        score=passage.score,
        attributes=attributes.told(passage.meta),
        content=[wire.TextContent(text=passage.text)],
    )
