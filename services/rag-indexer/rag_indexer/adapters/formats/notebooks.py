"""Jupyter notebooks: the sources of their cells, each line where it stands in the file; outputs are left out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from rag_indexer.domain import chunking, markdown
from rag_indexer.domain.blocks import Heading, Rows, blocks_from
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document, Meta
from rag_indexer.domain.json_places import Place, places
from rag_indexer.domain.ports import Unreadable


@dataclass(slots=True)
class _Cell:
    kind: str = "code"
    parts: list[tuple[str, int]] = field(default_factory=list)
    """Pieces of the source, and the line of the file that each stands in."""


def document(_path: str, data: bytes) -> Document:
    cells, meta = _cells(as_text(data))
    if not cells:
        raise Unreadable("not a notebook: it has no cells")
    texts: list[str] = []
    numbers: list[int] = []
    starts: list[tuple[int, bool, Heading | None]] = []
    for cell in cells:
        lines, places_of = _lines(cell)
        if cell.kind == "markdown":
            lines = markdown.without_comments(lines)
            blocks = [(block.start, block.whole, block.heading) for block in markdown.blocks(lines)]
        else:
            blocks = [(0, True, None)]
        starts += [(len(texts) + start, whole, heading) for start, whole, heading in blocks]
        texts += [*lines, ""]
        numbers += [*places_of, places_of[-1]]
    heading = next((heading.text for _, _, heading in starts if heading and heading.text), None)
    return Document(
        title=str(meta.get("title") or heading or ""),
        chunks=chunking.chunks(Rows(texts, numbers), blocks_from(starts, len(texts))),
        type="notebook",
        meta=meta,
    )


def _cells(text: str) -> tuple[list[_Cell], Meta]:
    cells: dict[int, _Cell] = {}
    meta: Meta = {}
    for place in places(text.replace("\r\n", "\n").replace("\r", "\n")):
        match place.path:
            case ["cells", int(number), "cell_type"]:
                cells.setdefault(number, _Cell()).kind = _said(place)
            case ["cells", int(number), "source", *_] if not place.opens:
                cells.setdefault(number, _Cell()).parts.append((_said(place), place.row + 1))
            case ["metadata", "title"]:
                meta["title"] = _said(place)
            case ["metadata", "kernelspec" | "language_info", "language" | "name" as key] if not place.opens:
                if key == "language" or place.path[1] == "language_info":
                    meta["language"] = _said(place)
    return [cells[number] for number in sorted(cells) if cells[number].parts], meta


def _said(place: Place) -> str:
    try:
        return str(json.loads(place.said))
    except ValueError:
        return place.said.strip('"')


def _lines(cell: _Cell) -> tuple[list[str], list[int]]:
    texts, numbers = [""], [cell.parts[0][1]]
    for text, number in cell.parts:
        for position, line in enumerate(_split(text)):
            if position:
                texts.append(line)
                numbers.append(number)
            elif texts[-1] == "":
                texts[-1], numbers[-1] = line, number
            else:
                texts[-1] += line
    return texts, numbers


def _split(text: str) -> Iterator[str]:
    yield from text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
