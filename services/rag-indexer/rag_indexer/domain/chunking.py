"""Cut a text into chunks of a size that can be found and quoted, along its headings and blocks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rag_indexer.domain import markdown
from rag_indexer.domain.documents import Chunk, Document
from rag_indexer.domain.markdown import Block, Heading

TINY_TOKENS = 40
"""Less than this does not stand alone: a bare heading joins what follows it."""
MIN_TOKENS = 200
MAX_TOKENS = 400
HARD_TOKENS = 2_000
"""Even a table or a fence is cut above this."""

MARKDOWN = frozenset({".md", ".markdown"})
TEXT = frozenset({".txt", ".rst"})

_BYTES_PER_TOKEN = 4
_NEWLINE = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class Piece:
    """What a chunk is packed from: lines `start` up to, not with, `end`; or `text`, a part of one very long line."""

    start: int
    end: int
    tokens: int
    heading: Heading | None = None
    text: str | None = None


def read(path: str, text: str) -> Document:
    """
    The text of the file at `path` as chunks.

    Each line that is not blank is in exactly one chunk, and a chunk's text is its lines as they stand in the file; a
    line too long for a chunk is spread over several that all have its number. Comments in Markdown count as blank.
    """
    lines = _NEWLINE.sub("\n", text).split("\n")
    name = PurePosixPath(path)
    is_markdown = name.suffix.lower() in MARKDOWN
    if is_markdown:
        lines = markdown.without_comments(lines)
    blocks = markdown.blocks(lines) if is_markdown else list(_paragraphs(lines))
    pieces = [piece for block in blocks for piece in _pieces(block, lines)]
    title = (markdown.front_title(lines) if is_markdown else None) or _first_heading(blocks) or name.stem
    return Document(title=title, chunks=tuple(_chunks(_packed(pieces), lines)))


def tokens(text: str) -> int:
    """An estimate that needs no tokenizer: four bytes each, which is near for English and for Chinese."""
    return len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN + 1


def _first_heading(blocks: Sequence[Block]) -> str | None:
    texts = (block.heading.text for block in blocks if block.heading)
    return next((text for text in texts if text), None)


def _paragraphs(lines: Sequence[str]) -> Iterator[Block]:
    """Runs of lines that begin after a blank one."""
    start = 0
    for number in range(1, len(lines)):
        if lines[number].strip() and not lines[number - 1].strip():
            yield Block(start, number)
            start = number
    yield Block(start, len(lines))


def _pieces(block: Block, lines: Sequence[str]) -> Iterator[Piece]:
    """The block itself, or its lines in turn when it is too large for one chunk."""
    total = sum(tokens(line) for line in lines[block.start : block.end])
    if total <= (HARD_TOKENS if block.whole else MAX_TOKENS):
        yield Piece(block.start, block.end, total, block.heading)
        return
    heading = block.heading
    for number in range(block.start, block.end):
        size = tokens(lines[number])
        if size <= (HARD_TOKENS if block.whole else MAX_TOKENS):
            yield Piece(number, number + 1, size, heading)
        else:
            yield from _parts(number, lines[number], heading)
        heading = None


def _parts(number: int, line: str, heading: Heading | None) -> Iterator[Piece]:
    """A very long line, cut where a word ends if one does; together the parts are the line."""
    start = 0
    limit = MAX_TOKENS * _BYTES_PER_TOKEN
    while start < len(line):
        # A character may take four bytes, so the text of a part is measured and not counted.
        width = limit if line.isascii() else limit // 3
        end = min(len(line), start + width)
        if end < len(line) and (space := line.rfind(" ", start + width // 2, end)) > 0:
            end = space + 1
        part = line[start:end]
        yield Piece(number, number + 1, tokens(part), heading, part)
        heading, start = None, end


def _packed(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Neighbours joined into groups of about MIN_TOKENS to MAX_TOKENS, begun at a heading where that can be."""
    groups: list[list[Piece]] = []
    size = 0
    for piece, section in zip(pieces, _section_tokens(pieces), strict=True):
        if not groups or _begins_anew(size, piece, section, groups[-1][-1]):
            groups.append([])
            size = 0
        groups[-1].append(piece)
        size += piece.tokens
    if len(groups) > 1 and size <= TINY_TOKENS and groups[-2][-1].text is groups[-1][0].text is None:
        last = groups.pop()
        groups[-1].extend(last)
    return groups


def _begins_anew(size: int, piece: Piece, section: int, before: Piece) -> bool:
    if piece.text is not None or before.text is not None:
        return True
    if piece.heading and size >= MIN_TOKENS:
        return True
    coming = section if piece.heading else piece.tokens
    return size > TINY_TOKENS and size + coming > MAX_TOKENS


def _section_tokens(pieces: Sequence[Piece]) -> list[int]:
    """For each piece: how much there is from it to the next heading."""
    found: list[int] = []
    total = 0
    for piece in reversed(pieces):
        total += piece.tokens
        found.append(total)
        if piece.heading:
            total = 0
    return found[::-1]


def _chunks(groups: Sequence[list[Piece]], lines: Sequence[str]) -> Iterator[Chunk]:
    path: list[Heading] = []
    for group in groups:
        cited, path = _headings(group, path)
        if (chunk := _chunk(group, cited, lines)) is not None:
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
                cited, level = path, piece.heading.level
            else:
                size = MAX_TOKENS  # a heading beside the cited one: those after it do not count any more
        size += piece.tokens
    return cited, path


def _chunk(group: Sequence[Piece], path: Sequence[Heading], lines: Sequence[str]) -> Chunk | None:
    """None when there is nothing but blank lines in it."""
    numbers = [number for piece in group for number in range(piece.start, piece.end) if lines[number].strip()]
    text = group[0].text if group[0].text is not None else None
    if not numbers or (text is not None and not text.strip()):
        return None
    first, last = numbers[0], numbers[-1]
    return Chunk(
        text=text if text is not None else "\n".join(lines[first : last + 1]),
        headings=tuple(heading.text for heading in path if heading.text),
        anchor=path[-1].anchor if path else "",
        first_line=first + 1,
        last_line=last + 1,
    )
