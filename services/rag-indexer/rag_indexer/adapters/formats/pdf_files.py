"""PDF: the text of each page, under the headings of the file's own outline."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from rag_indexer.domain import chunking
from rag_indexer.domain.blocks import Heading, Rows, blocks_from, paragraphs
from rag_indexer.domain.documents import Document, Meta
from rag_indexer.domain.ports import Unreadable

MAX_HEADINGS = 2_000
MAX_DEPTH = 6
MAX_TEXT = 20_000_000
"""Characters of a whole file."""
MAX_META = 1_000


def document(_path: str, data: bytes) -> Document:
    try:
        reader = _opened(data)
        texts, numbers, pages = _rows(reader)
        headings = _headings(reader)
        meta = _meta(reader)
    except (PyPdfError, DependencyError) as error:
        raise Unreadable(f"a broken PDF ({str(error)[:100] or type(error).__name__})") from error
    if not any(text.strip() for text in texts):
        raise Unreadable("no text in it: a PDF of images")
    starts = _starts(texts, pages, headings)
    named = meta.pop("title", None)
    cut = chunking.chunks(Rows(texts, numbers, pages), blocks_from(starts, len(texts)))
    return Document(
        title=str(named or ""),
        # Viewers open a PDF at the page that its address names like this.
        chunks=tuple(replace(chunk, anchor=f"page={chunk.page}") for chunk in cut),
        type="pdf",
        meta=meta,
    )


def _opened(data: bytes) -> PdfReader:
    if b"%PDF-" not in data[:1_024]:
        raise Unreadable("not a PDF")
    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted:
        try:
            opened = reader.decrypt("")
        except DependencyError as error:
            raise Unreadable("encrypted") from error
        if not opened:
            raise Unreadable("encrypted")
    return reader


def _rows(reader: PdfReader) -> tuple[list[str], list[int], list[int]]:
    texts: list[str] = []
    numbers: list[int] = []
    pages: list[int] = []
    total = 0
    for number, page in enumerate(reader.pages, start=1):
        lines = [line.rstrip() for line in page.extract_text().replace("\0", "").splitlines()]
        total += sum(map(len, lines))
        if total > MAX_TEXT:
            raise Unreadable(f"more than {MAX_TEXT} characters of text")
        texts += [*lines, ""]
        numbers += range(1, len(lines) + 2)
        pages += [number] * (len(lines) + 1)
    return texts, numbers, pages


def _headings(reader: PdfReader) -> list[tuple[int, str, int]]:
    """Page, text and level of each entry of the outline, in its order; none when the outline is broken."""
    try:
        return list(_entries(reader, reader.outline))[:MAX_HEADINGS]
    except (PyPdfError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return []


def _entries(reader: PdfReader, outline: Sequence[Any]) -> Iterator[tuple[int, str, int]]:
    open_lists = [(iter(outline), 1)]
    found = 0
    while open_lists and found < MAX_HEADINGS:
        entries, level = open_lists[-1]
        entry = next(entries, None)
        if entry is None:
            open_lists.pop()
        elif isinstance(entry, list):
            open_lists.append((iter(entry), level + 1))
        else:
            page = reader.get_destination_page_number(entry)
            text = " ".join(str(entry.title).split())[:300]
            if page is not None and page >= 0 and text and level <= MAX_DEPTH:
                found += 1
                yield page + 1, text, level


def _starts(
    texts: Sequence[str], pages: Sequence[int], headings: Sequence[tuple[int, str, int]]
) -> list[tuple[int, bool, Heading | None]]:
    """Paragraphs, pages and headings; a heading begins where its page says it, or else at the top of its page."""
    first_row: dict[int, int] = {}
    for row, page in enumerate(pages):
        first_row.setdefault(page, row)
    starts: dict[int, Heading | None] = {block.start: None for block in paragraphs(texts)}
    starts.update(dict.fromkeys(first_row.values()))
    last = -1
    for page, text, level in headings:
        if page not in first_row:
            continue
        row = max(_row_of(text, texts, pages, first_row[page]), last + 1)
        if row < len(texts) and pages[row] == page:
            starts[row] = Heading(level, text, "")
            last = row
    return [(row, False, starts[row]) for row in sorted(starts)]


def _row_of(text: str, texts: Sequence[str], pages: Sequence[int], row: int) -> int:
    wanted = "".join(text.split()).lower()
    page, first = pages[row], row
    while row < len(texts) and pages[row] == page:
        said = "".join(texts[row].split()).lower()
        if said and (said == wanted or said.endswith(wanted) or (len(said) > 8 and wanted.startswith(said))):
            return row
        row += 1
    return first


def _meta(reader: PdfReader) -> Meta:
    said = reader.metadata
    if said is None:
        return {}
    found: Meta = {}
    for name, value in (("title", said.title), ("author", said.author), ("subject", said.subject)):
        if text := " ".join(str(value or "").split())[:MAX_META]:
            found[name] = text
    try:
        made = said.creation_date
    except ValueError:
        made = None
    if made is not None:
        found["date"] = made.date().isoformat()
    return found
