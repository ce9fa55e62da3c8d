"""reStructuredText: sections, literal blocks and directives, told by their shape; what they say is not interpreted."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rag_indexer.domain import chunking, front_matter
from rag_indexer.domain.blocks import Heading, Rows, blocks_from, lines_of
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document, Meta

MAX_TITLE = 300

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1+")
_EXPLICIT = re.compile(r"\s*\.\.(?:\s+(.*))?")
_DIRECTIVE = re.compile(r"(?:\|[^|]{1,100}\|\s+)?([A-Za-z][\w:+.-]{0,60})::.*")
_SHOWN = ("_", "[", "|", "__")
_FIELD = re.compile(r":([A-Za-z][\w -]{0,60}):(?:\s+(.*))?")
_WHOLE = frozenset({"code", "code-block", "sourcecode", "parsed-literal", "table", "list-table", "csv-table", "math"})
_NOT_IN_IDS = re.compile(r"[^a-z0-9]+")
_ROLES = re.compile(r":[\w:+.-]{1,60}:`([^`<]{1,200})[^`]{0,200}`|[`*|]+")

Start = tuple[int, bool, Heading | None]


def document(_path: str, data: bytes) -> Document:
    lines = _without_comments(lines_of(as_text(data)))
    starts = list(_Walk(lines).starts())
    headings = [heading.text for _, _, heading in starts if heading and heading.text]
    meta = _fields(lines)
    return Document(
        title=front_matter.title(meta) or (headings[0] if headings else ""),
        chunks=chunking.chunks(Rows(lines), blocks_from(starts, len(lines))),
        type="rst",
        meta=meta,
    )


@dataclass(slots=True)
class _Walk:
    """Through the lines, once. The level of a section is told by how early its adornment was first seen."""

    lines: Sequence[str]
    styles: list[tuple[str, bool]] = field(default_factory=list)

    def starts(self) -> Iterator[Start]:
        row = 0
        while row < len(self.lines):
            if not self.lines[row].strip():
                row += 1
            elif (title := self._title(row)) is not None:
                yield row, False, title[0]
                row += title[1]
            elif (match := _EXPLICIT.fullmatch(self.lines[row])) is not None:
                whole = _is_whole(match.group(1) or "")
                yield row, whole, None
                row = _after_indented(self.lines, row, 1) if whole else row + 1
            else:
                yield row, False, None
                end = self._paragraph_end(row)
                row = end
                if self.lines[end - 1].rstrip().endswith("::"):
                    indent = _indent(self.lines[end - 1])
                    row = _next_filled(self.lines, end)
                    if row < len(self.lines) and _indent(self.lines[row]) > indent:
                        yield row, True, None
                        row = _after_indented(self.lines, row, indent + 1, itself=True)

    def _paragraph_end(self, row: int) -> int:
        while row < len(self.lines) and self.lines[row].strip():
            row += 1
        return row

    def _title(self, row: int) -> tuple[Heading, int] | None:
        """The heading that begins at this row, and how many rows it takes."""
        line = self.lines[row].rstrip()
        below = self.lines[row + 1].rstrip() if row + 1 < len(self.lines) else ""
        if (match := _RULE.fullmatch(line)) is not None:
            under = self.lines[row + 2].rstrip() if row + 2 < len(self.lines) else ""
            if below.strip() and under == line and len(line) >= min(4, len(below.strip())):
                return self._heading(below, (match.group(1), True)), 3
            return None
        match = _RULE.fullmatch(below)
        if match is None or line[:1].isspace() or (row and self.lines[row - 1].strip()):
            return None
        if len(below) < len(line) and len(below) < 4:
            return None
        return self._heading(line, (match.group(1), False)), 2

    def _heading(self, line: str, style: tuple[str, bool]) -> Heading:
        if style not in self.styles:
            self.styles.append(style)
        text = " ".join(_ROLES.sub(r"\1", line[:MAX_TITLE]).split())
        return Heading(self.styles.index(style) + 1, text, _NOT_IN_IDS.sub("-", text.lower()).strip("-"))


def _without_comments(lines: Sequence[str]) -> list[str]:
    """The lines, blank where a comment stands: two dots and what is no directive, target, footnote or substitution."""
    kept = list(lines)
    row = 0
    while row < len(lines):
        match = _EXPLICIT.fullmatch(lines[row])
        said = match.group(1) or "" if match else ""
        if match is None or said.startswith(_SHOWN) or _DIRECTIVE.fullmatch(said):
            row += 1
            continue
        # Two dots alone, with nothing right below, are an empty comment and not the mark of what is indented later.
        empty = not said and (row + 1 >= len(lines) or not lines[row + 1].strip())
        end = row + 1 if empty else _after_indented(lines, row, _indent(lines[row]) + 1)
        kept[row:end] = [""] * (end - row)
        row = end
    return kept


def _is_whole(said: str) -> bool:
    match = _DIRECTIVE.fullmatch(said)
    return match is not None and match.group(1) in _WHOLE


def _after_indented(lines: Sequence[str], row: int, least: int, *, itself: bool = False) -> int:
    """The row after those below `row` that are blank or indented by `least` columns or more."""
    least = least if itself else max(least, _indent(lines[row]) + 1)
    row += 1
    end = row
    while row < len(lines) and (not lines[row].strip() or _indent(lines[row]) >= least):
        row += 1
        if lines[row - 1].strip():
            end = row
    return end


def _next_filled(lines: Sequence[str], row: int) -> int:
    while row < len(lines) and not lines[row].strip():
        row += 1
    return row


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _fields(lines: Sequence[str]) -> Meta:
    """The first field list, when it stands near the top: the author, the date, the tags of the document."""
    matches = [_FIELD.fullmatch(line.rstrip()) for line in lines[:60]]
    first = next((row for row, match in enumerate(matches) if match), None)
    if first is None or _FIELD.fullmatch(lines[first].rstrip()) is None:
        return {}
    above = [line for line in lines[:first] if line.strip()]
    found: list[str] = []
    for match in matches[first:]:
        if match is None:
            break
        found.append(f"{match.group(1)}: {match.group(2) or ''}")
    return front_matter.fields(found) if len(above) <= 3 else {}
