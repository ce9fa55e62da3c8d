"""Plain text: paragraphs, and nothing else."""

from rag_indexer.domain import chunking
from rag_indexer.domain.blocks import Rows, lines_of, paragraphs
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document


def document(_path: str, data: bytes) -> Document:
    lines = lines_of(as_text(data))
    return Document("", chunking.chunks(Rows(lines), list(paragraphs(lines))), "text")
