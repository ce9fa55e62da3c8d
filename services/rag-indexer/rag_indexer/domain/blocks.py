"""What the formats have in common: rows of text, the blocks they fall into, and the headings above them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_NEWLINE = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `start` up to, not with, `end`, from 0. A `whole` one (a table, a fence, a function) should not be cut."""

    start: int
    end: int
    whole: bool = False
    heading: Heading | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """
    The text of a document, row by row, and where each row stands in the file.

    `numbers` are lines, or what the format has in their place, from 1 and never falling within a page; without them the
    rows are the file's lines. `pages` are there for formats that have pages.
    """

    texts: Sequence[str]
    numbers: Sequence[int] = ()
    pages: Sequence[int] = ()

    def number(self, row: int) -> int:
        return self.numbers[row] if self.numbers else row + 1

    def page(self, row: int) -> int | None:
        return self.pages[row] if self.pages else None


def lines_of(text: str) -> list[str]:
    """As an editor counts them: a carriage return ends a line too, other separators do not."""
    return _NEWLINE.sub("\n", text).split("\n")


def blocks_from(starts: Sequence[tuple[int, bool, Heading | None]], count: int) -> list[Block]:
    """
    Blocks that follow one another, from the rows they start at, whether they are whole, and their headings.

    `starts` ascend. Each of the `count` rows is in exactly one block: those before the first start are one too.
    """
    if not starts or starts[0][0] > 0:
        starts = [(0, False, None), *starts]
    ends = [start for start, _, _ in starts[1:]] + [count]
    return [
        Block(start, end, whole, heading)
        for (start, whole, heading), end in zip(starts, ends, strict=True)
        if end > start
    ]


def paragraphs(lines: Sequence[str], start: int = 0, end: int | None = None) -> Iterator[Block]:
    """Runs of lines that begin after a blank one."""
    last = len(lines) if end is None else end
    for number in range(start + 1, last):
        if lines[number].strip() and not lines[number - 1].strip():
            yield Block(start, number)
            start = number
    if start < last:
        yield Block(start, last)
