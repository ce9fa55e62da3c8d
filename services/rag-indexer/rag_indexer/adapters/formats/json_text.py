"""JSON, and JSON by lines: cut by the members of its outer objects, whose keys are the headings."""

from collections.abc import Iterator
from dataclasses import replace

from rag_indexer.domain import chunking
from rag_indexer.domain.blocks import Heading, Rows, blocks_from, lines_of
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document
from rag_indexer.domain.json_places import places

MAX_DEPTH = 3
MAX_KEY = 100


def document(_path: str, data: bytes) -> Document:
    lines = lines_of(as_text(data))
    blocks = blocks_from(list(_starts("\n".join(lines))), len(lines))
    cut = chunking.chunks(Rows(lines), blocks)
    chunks = tuple(replace(chunk, anchor=f"L{chunk.first_line}") for chunk in cut)
    return Document("", chunks, "json")


def _starts(text: str) -> Iterator[tuple[int, bool, Heading | None]]:
    """Members of objects, objects in arrays, values side by side; of those that begin on one line the outermost."""
    last = -1
    for place in places(text):
        depth = len(place.path)
        if place.start <= last or depth > MAX_DEPTH:
            continue
        key = place.path[-1] if place.path else ""
        if isinstance(key, int) and depth and not place.opens:
            continue
        name = "" if not place.opens else f"[{key}]" if isinstance(key, int) else (key or "")[:MAX_KEY]
        last = place.start
        # A value without a name of its own still ends what came before it.
        yield place.start, False, Heading(max(depth, 1), name, "")
