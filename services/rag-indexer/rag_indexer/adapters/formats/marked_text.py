"""Markdown: front matter, blocks under headings, comments left out."""

from rag_indexer.domain import chunking, front_matter, markdown
from rag_indexer.domain.blocks import Rows, lines_of
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document


def document(_path: str, data: bytes) -> Document:
    lines = markdown.without_comments(lines_of(as_text(data)))
    meta = front_matter.fields(lines[1 : front_matter.length(lines)])
    blocks = markdown.blocks(lines)
    heading = next((block.heading.text for block in blocks if block.heading and block.heading.text), None)
    return Document(
        title=front_matter.title(meta) or heading or "",
        chunks=chunking.chunks(Rows(lines), blocks),
        type="markdown",
        meta=meta,
    )
