"""DOCX: paragraphs and tables under the headings their styles make; in place of lines paragraphs are counted."""

import io
import zipfile
from collections.abc import Iterator

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.table import Table

from rag_indexer.domain import chunking
from rag_indexer.domain.blocks import Heading, Rows, blocks_from
from rag_indexer.domain.documents import Document, Meta
from rag_indexer.domain.ports import Unreadable

MAX_UNPACKED = 200_000_000
MAX_RATIO = 200
"""How much larger than packed its parts may be, all together; XML of prose shrinks to a tenth or so."""
SMALL = 5_000_000
"""Bytes unpacked that are no bomb whatever their ratio."""
MAX_PARTS = 5_000
_TEXT = qn("w:t")
_SPACES = (qn("w:tab"), qn("w:br"), qn("w:p"))
_HIDDEN = './/w:r[w:rPr/w:vanish[not(@w:val="0" or @w:val="false")]]'
"""Text that Word does not show."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def document(_path: str, data: bytes) -> Document:
    _refuse_bombs(data)
    try:
        word = docx.Document(io.BytesIO(data))
        rows = list(_rows(word))
        meta = _meta(word)
    except (OpcError, SyntaxError, KeyError, ValueError, AttributeError, zipfile.BadZipFile, OSError) as error:
        raise Unreadable(f"a broken DOCX ({type(error).__name__})") from error
    if not rows:
        raise Unreadable("no text in it")
    texts: list[str] = []
    numbers: list[int] = []
    starts: list[tuple[int, bool, Heading | None]] = []
    for number, lines, whole, heading in rows:
        starts.append((len(texts), whole, heading))
        texts += [*lines, ""]
        numbers += [number] * (len(lines) + 1)
    heading_text = next((heading.text for _, _, heading in starts if heading), None)
    return Document(
        title=heading_text or str(meta.get("title") or ""),
        chunks=chunking.chunks(Rows(texts, numbers), blocks_from(starts, len(texts))),
        type="docx",
        meta={name: value for name, value in meta.items() if name != "title"},
    )


def _refuse_bombs(data: bytes) -> None:
    """By what the archive says of itself: no more than that is ever unpacked."""
    if data.startswith(_OLE):
        raise Unreadable("encrypted, or of an older Word")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise Unreadable("a broken DOCX (not a ZIP archive)") from error
    if any(part.flag_bits & 1 for part in parts):
        raise Unreadable("encrypted")
    unpacked = sum(part.file_size for part in parts)
    too_dense = unpacked > max(SMALL, MAX_RATIO * len(data))
    if unpacked > MAX_UNPACKED or too_dense or len(parts) > MAX_PARTS:
        raise Unreadable(f"a ZIP bomb: {len(data)} bytes that become {unpacked}")


def _rows(word: WordDocument) -> Iterator[tuple[int, list[str], bool, Heading | None]]:
    """Number, lines, whether whole, and heading of each paragraph or table that says anything."""
    for hidden in word.element.xpath(_HIDDEN):
        hidden.getparent().remove(hidden)
    # Once: a paragraph asked for its style looks through all of them.
    names = {style.style_id: style.name or "" for style in word.styles}
    number = 0
    for item in word.iter_inner_content():
        number += 1
        if isinstance(item, Table):
            lines = list(_table(item))
            if any(lines):
                yield number, lines, True, None
            continue
        text = item.text.strip()
        if not text:
            continue
        style = names.get(item._p.style or "", "")  # noqa: SLF001 - see above
        level = _level(style)
        lines = text.split("\n")
        if level:
            heading = " ".join(text.split())[:300]
            yield number, lines, False, Heading(level, heading, "")
        else:
            yield number, [f"- {text}"] if style.startswith("List ") else lines, False, None


def _level(style: str) -> int:
    """Of a heading, from 1; 0 for what is none."""
    if style == "Title":
        return 1
    kind, _, level = style.partition(" ")
    return int(level) + 1 if kind == "Heading" and level.isdecimal() and len(level) == 1 else 0


def _table(table: Table) -> Iterator[str]:
    # By the elements: a table's own cells are found anew for every row, which takes hours for a long one.
    for row in table._tbl.tr_lst:  # noqa: SLF001 - there is no other way to its rows in linear time
        cells = ["".join(_said(part) for part in cell.iter(_TEXT, *_SPACES)) for cell in row.tc_lst]
        yield " | ".join(" ".join(cell.split()) for cell in cells)


def _said(part: BaseOxmlElement) -> str:
    return (part.text or "") if part.tag == _TEXT else " "


def _meta(word: WordDocument) -> Meta:
    said = word.core_properties
    found: Meta = {}
    for name, value in (("title", said.title), ("author", said.author), ("subject", said.subject)):
        if text := " ".join((value or "").split())[:1_000]:
            found[name] = text
    if tags := [tag.strip() for tag in (said.keywords or "").replace(";", ",").split(",") if tag.strip()]:
        found["tags"] = tags[:64]
    if said.modified is not None:
        found["date"] = said.modified.date().isoformat()
    return found
