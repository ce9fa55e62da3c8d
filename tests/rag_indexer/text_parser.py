"""Every format, read in a thread of this process: for files that are trusted, as those of tests are."""

import asyncio

from rag_indexer.adapters import file_formats
from rag_indexer.domain.documents import Document


class TextParser:
    fingerprint = file_formats.fingerprint()
    suffixes = frozenset(file_formats.SUFFIXES)

    async def parse(self, path: str, data: bytes) -> Document:
        return await asyncio.to_thread(file_formats.read, path, data)
