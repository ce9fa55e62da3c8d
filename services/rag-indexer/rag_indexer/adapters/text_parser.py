"""Markdown and plain text, cut in a thread of this process."""

import asyncio

from rag_indexer.domain import chunking
from rag_indexer.domain.documents import Document
from rag_indexer.domain.reading import as_text


class TextParser:
    fingerprint = "chunks-2"
    suffixes = chunking.MARKDOWN | chunking.TEXT

    async def parse(self, path: str, data: bytes) -> Document:
        return await asyncio.to_thread(lambda: chunking.read(path, as_text(data)))
