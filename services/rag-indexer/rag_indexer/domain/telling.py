"""Passages as the wire tells them."""

from datetime import UTC, datetime

from rag_indexer.domain.documents import StoredPassage
from sage_contracts import index as wire


def told(passage: StoredPassage, score: float) -> wire.Passage:
    return wire.Passage(
        id=passage.id,
        text=passage.text,
        score=round(score, 4),
        source=wire.Source(
            path=passage.path,
            title=passage.title,
            heading=passage.heading,
            anchor=passage.anchor,
            lines=(passage.first_line, passage.last_line),
            page=passage.page,
            type=passage.type,
            collection=passage.collection,
            modified=None if passage.modified is None else datetime.fromtimestamp(passage.modified, UTC),
        ),
        meta=dict(passage.meta),
    )
