"""Tables of values with separators: records are never cut, and the header stands above each chunk."""

import csv
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import replace

from rag_indexer.domain import chunking
from rag_indexer.domain.blocks import Heading, Rows, blocks_from, lines_of
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document

MAX_HEADER = 300

_NUMBER = re.compile(r"[-+]?[\d.,:/%-]+")


def document(path: str, data: bytes) -> Document:
    lines = lines_of(as_text(data))
    delimiter = max("\t" if path.lower().endswith(".tsv") else ",", ";", "\t", "|", key=lines[0][:10_000].count)
    records = _records(lines, delimiter)
    header = " | ".join(cell.strip() for cell in records[0][1] if cell.strip()) if records else ""
    named = bool(header) and not all(_NUMBER.fullmatch(cell.strip()) for cell in records[0][1] if cell.strip())
    heading = Heading(1, header[:MAX_HEADER], "") if named else None
    starts = [(row, True, heading if number == 0 else None) for number, (row, _) in enumerate(records)]
    cut = chunking.chunks(Rows(lines), blocks_from(starts, len(lines)))
    chunks = tuple(replace(chunk, anchor=f"L{chunk.first_line}") for chunk in cut)
    return Document("", chunks, "csv")


def _records(lines: Sequence[str], delimiter: str) -> list[tuple[int, Sequence[str]]]:
    """The row each record begins at, and the cells of the first one; each line for itself where quotes do not match."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=delimiter)
    found: list[tuple[int, Sequence[str]]] = []
    row = 0
    try:
        for cells in reader:
            found.append((row, () if found else cells))
            row = reader.line_num
    except csv.Error:
        return [(number, (line,) if number == 0 else ()) for number, line in enumerate(lines)]
    return found
