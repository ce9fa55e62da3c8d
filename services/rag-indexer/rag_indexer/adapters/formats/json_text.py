"""JSON, and JSON by lines: cut by the members of its outer objects, whose keys are the headings."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from rag_indexer.domain import chunking
from rag_indexer.domain.blocks import Heading, Rows, blocks_from, lines_of
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document
from rag_indexer.domain.json_places import places

MAX_DEPTH = 3
MAX_KEY = 100


def document(path: str, data: bytes) -> Document:
    lines = lines_of(as_text(data))
    blocks = blocks_from(list(_starts("\n".join(lines))), len(lines))
    cut = chunking.chunks(Rows(lines), blocks)
    chunks = tuple(replace(chunk, anchor=f"L{chunk.first_line}") for chunk in cut)
    return Document(PurePosixPath(path).stem, chunks, "json")


def _starts(text: str) -> Iterator[tuple[int, bool, Heading | None]]:
    """Members of objects, objects in arrays and values that stand side by side; of those on one line the outermost."""
    last = -1
    for place in places(text):
        depth = len(place.path)
        if place.start <= last or depth > MAX_DEPTH:
            continue
        key = place.path[-1] if place.path else ""
        if depth == 0 and place.start > 0:
            last = place.start
            yield place.start, False, None
        elif isinstance(key, str) and depth:
            last = place.start
            yield place.start, False, Heading(depth, key[:MAX_KEY], "")
        elif isinstance(key, int) and place.opens:
            last = place.start
            yield place.start, False, Heading(depth, f"[{key}]", "")
