"""Pack the blocks of a document into chunks of a size that can be found and quoted, along its headings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rag_indexer.domain.blocks import Block, Heading, Rows, paragraphs
from rag_indexer.domain.documents import Chunk

TINY_TOKENS = 40
"""Less than this does not stand alone: a bare heading joins what follows it. More does where a page ends."""
HALF_TOKENS = 100
"""Enough to stand alone where a larger section than the one it is of begins."""
MIN_TOKENS = 200
MAX_TOKENS = 400
"""With smaller chunks `make eval-rag` finds a little more by words, and the offline encoder helps no more."""
HARD_TOKENS = 800
"""Even a table, a fence or a function is cut above this."""

_BYTES_PER_TOKEN = 4
_ENDS = ("。", ". ", "; ", " ", ",")
"""Where a very long line is best cut, best first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a chunk is packed from: rows `start` up to, not with, `end`; or `text`, a part of one very long row."""

    start: int
    end: int
    tokens: int
    heading: Heading | None = None
    text: str | None = None


def chunks(rows: Rows, blocks: Sequence[Block]) -> tuple[Chunk, ...]:
    """
    The rows of the blocks, which follow one another, as chunks.

    Each row that is not blank is in exactly one chunk, and a chunk's text is its rows as they are; a row too long for a
    chunk is spread over several that all have its number.
    """
    pieces = [piece for block in blocks for piece in _pieces(block, rows.texts)]
    return tuple(_chunks(_packed(pieces, rows), rows))


def tokens(text: str) -> int:
    """An estimate that needs no tokenizer: four bytes each, which is near for English and for Chinese."""
    return len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN + 1


def _pieces(block: Block, lines: Sequence[str]) -> Iterator[Piece]:
    """The block itself; when it is too large for one chunk, its paragraphs, or their lines in turn."""
    sizes = [tokens(line) for line in lines[block.start : block.end]]
    total = sum(sizes)
    if total <= (HARD_TOKENS if block.whole else MAX_TOKENS):
        yield Piece(block.start, block.end, total, block.heading)
        return
    heading = block.heading
    for part in paragraphs(lines, block.start, block.end):
        own = sizes[part.start - block.start : part.end - block.start]
        if sum(own) <= MAX_TOKENS:
            yield Piece(part.start, part.end, sum(own), heading)
        else:
            yield from _rows(part, own, lines, heading)
        heading = None


def _rows(part: Block, sizes: Sequence[int], lines: Sequence[str], heading: Heading | None) -> Iterator[Piece]:
    for number, size in enumerate(sizes, start=part.start):
        if size <= MAX_TOKENS:
            yield Piece(number, number + 1, size, heading)
        else:
            yield from _parts(number, lines[number], heading)
        heading = None


def _parts(number: int, line: str, heading: Heading | None) -> Iterator[Piece]:
    """A very long line, cut where a sentence or a word ends if one does; together the parts are the line."""
    start = 0
    limit = MAX_TOKENS * _BYTES_PER_TOKEN
    while start < len(line):
        # A character may take four bytes; those that do are few, and three is what Chinese needs.
        width = limit if line[start : start + limit].isascii() else limit // 3
        rest = len(line) - start
        if width < rest < 2 * width:
            width = rest // 2 + 1  # two halves, and not a full part and its crumb
        end = min(len(line), start + width)
        if end < len(line):
            end = _best_end(line, start + width // 2, end)
        part = line[start:end]
        yield Piece(number, number + 1, tokens(part), heading, part)
        heading, start = None, end


def _best_end(line: str, low: int, high: int) -> int:
    for mark in _ENDS:
        if (found := line.rfind(mark, low, high)) > 0:
            return found + len(mark)
    return high


@dataclass(slots=True)
class _Group:
    """Pieces that become one chunk. `level` is that of its heading, `aim` how large it had best be."""

    pieces: list[Piece] = field(default_factory=list)
    size: int = 0
    level: int = 0
    aim: float = 0.0

    def add(self, piece: Piece, section: int) -> None:
        if piece.heading and self.size <= TINY_TOKENS:
            self.level = piece.heading.level
        if piece.heading or not self.size:
            # As few parts as possible, all alike: no crumb is left at the end of a section.
            total = self.size + section
            self.aim = total / -(-total // MAX_TOKENS)
        self.pieces.append(piece)
        self.size += piece.tokens

    def ends_before(self, piece: Piece, section: int, rows: Rows) -> bool:
        before = self.pieces[-1]
        if before.text is not None:
            return True
        if piece.text is not None or self.size <= TINY_TOKENS:
            return self.size > TINY_TOKENS
        if rows.page(piece.start) != rows.page(before.start):
            return True
        if piece.heading:
            return self._ends_before_heading(piece.heading, section)
        return self.size + piece.tokens > MAX_TOKENS or self.size + piece.tokens / 2 > self.aim

    def _ends_before_heading(self, heading: Heading, section: int) -> bool:
        leaves = heading.level < self.level  # what this began with is no part of what comes
        return self.size >= (HALF_TOKENS if leaves else MIN_TOKENS) or self.size + section > MAX_TOKENS


def _packed(pieces: Sequence[Piece], rows: Rows) -> list[list[Piece]]:
    """Neighbours joined into groups of MIN_TOKENS to MAX_TOKENS or so, begun at a heading or a page if they can be."""
    groups: list[_Group] = []
    for piece, section in zip(pieces, _section_tokens(pieces, rows), strict=True):
        if not groups or groups[-1].ends_before(piece, section, rows):
            groups.append(_Group(level=groups[-1].level if groups else 0))
        groups[-1].add(piece, section)
    if len(groups) > 1 and groups[-1].size <= TINY_TOKENS:
        before, last = groups[-2].pieces, groups[-1].pieces
        if before[-1].text is last[0].text is None:
            groups.pop()
            before.extend(last)
    return [group.pieces for group in groups]


def _section_tokens(pieces: Sequence[Piece], rows: Rows) -> list[int]:
    """For each piece: how much there is from it to the next heading, or the end of its page."""
    found: list[int] = []
    total = 0
    page: int | None = None
    for piece in reversed(pieces):
        if rows.page(piece.start) != page:
            total, page = 0, rows.page(piece.start)
        total += piece.tokens
        found.append(total)
        if piece.heading:
            total = 0
    return found[::-1]


def _chunks(groups: Sequence[list[Piece]], rows: Rows) -> Iterator[Chunk]:
    path: list[Heading] = []
    for group in groups:
        cited, path = _headings(group, path)
        if (chunk := _chunk(group, cited, rows)) is not None:
            yield chunk


def _headings(group: Sequence[Piece], path: list[Heading]) -> tuple[list[Heading], list[Heading]]:
    """
    The path to cite the group by, and the path after it.

    It is cited by the heading it begins under; by one that comes soon instead, when what stands before that is tiny: a
    bare heading above it, the front matter, the last words of another section.
    """
    cited = path
    level = size = 0
    for piece in group:
        if piece.heading:
            path = [*(above for above in path if above.level < piece.heading.level), piece.heading]
            if size <= TINY_TOKENS and piece.heading.level > level:
                cited, level = path, max((above.level for above in path if above.text), default=0)
            else:
                size = MAX_TOKENS  # a heading beside the cited one: those after it do not count any more
        size += piece.tokens
    return cited, path


def _chunk(group: Sequence[Piece], path: Sequence[Heading], rows: Rows) -> Chunk | None:
    """None when there is nothing but blank rows in it."""
    part = group[-1].text
    # The row that a part is of may be too long to be looked at again for each of them.
    above = group if part is None else group[:-1]
    filled = [row for piece in above for row in range(piece.start, piece.end) if rows.texts[row].strip()]
    part = part if part and part.strip() else None
    if part is not None:
        filled.append(group[-1].start)
    if not filled:
        return None
    first, last = filled[0], filled[-1]
    page, first_there, last_there = _place(filled, rows)
    return Chunk(
        text="\n".join(rows.texts[first : last + 1] if part is None else [*rows.texts[first : group[-1].start], part]),
        headings=tuple(heading.text for heading in path if heading.text),
        anchor=path[-1].anchor if path else "",
        first_line=rows.number(first_there),
        last_line=rows.number(last_there),
        page=page,
    )


def _place(filled: Sequence[int], rows: Rows) -> tuple[int | None, int, int]:
    """Where a chunk is cited: the page that most of it is on, and its first and last row there."""
    if not rows.pages:
        return None, filled[0], filled[-1]
    letters: dict[int, int] = {}
    for row in filled:
        letters[rows.pages[row]] = letters.get(rows.pages[row], 0) + len(rows.texts[row])
    page = max(letters, key=letters.__getitem__)
    there = [row for row in filled if rows.pages[row] == page]
    return page, there[0], there[-1]
