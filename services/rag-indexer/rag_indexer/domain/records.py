"""What is told of an index."""

from rag_indexer.domain.ports import Record
from sage_contracts import index as wire


def info(record: Record) -> wire.IndexInfo:
    return wire.IndexInfo(
        num_documents=record.num_documents,
        num_chunks=record.num_chunks,
        created_at=record.created_at,
        updated_at=record.updated_at,
        embedding=wire.Embedding(encoder=record.encoder, dimensions=record.dimensions),
        source_dir=record.source_dir,
        skipped=record.skipped,
    )
