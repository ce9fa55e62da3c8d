"""Cut Markdown into its top-level blocks, by line, without rendering it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_HEADING = 300
"""Characters of a heading that are read: inline parsing of a very long line is slow, and nobody cites one."""

_blocks = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
_inline = MarkdownIt("commonmark")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
_FRONT_TITLE = re.compile(r"title\s*:\s*(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Block:
    """Lines `start` up to, not with, `end`, from 0. A `whole` one (a table, a fence) should not be cut."""

    start: int
    end: int
    whole: bool = False
    heading: Heading | None = None


def blocks(lines: Sequence[str]) -> list[Block]:
    """
    The blocks, in order; every line from the first block's start to the end is in exactly one of them.

    Lines that are no block of their own (blank ones, link definitions) belong to the block before them; those before
    any block are a block too.
    """
    body = _front_matter_end(lines)
    starts = list(_starts(_parsed(lines, body)))
    if not starts or starts[0][0] > 0:
        starts.insert(0, (0, body > 0, None))
    ends = [start for start, _, _ in starts[1:]] + [len(lines)]
    anchors = Anchors()
    return [
        Block(start, end, whole, anchors.heading(token) if token else None)
        for (start, whole, token), end in zip(starts, ends, strict=True)
    ]


def without_comments(lines: Sequence[str]) -> list[str]:
    """The lines, blank where HTML comments stand as blocks of their own: those are for who writes the text."""
    kept = list(lines)
    if not any("<!--" in line for line in lines):
        return kept
    for token in _parsed(lines, _front_matter_end(lines)):
        if token.type == "html_block" and token.map is not None and _is_comment(token.content):
            start, end = token.map[0], min(token.map[1], len(kept))
            kept[start:end] = [""] * (end - start)
    return kept


def front_title(lines: Sequence[str]) -> str | None:
    """The `title:` of the front matter, if there is one."""
    for line in lines[: _front_matter_end(lines)]:
        if match := _FRONT_TITLE.fullmatch(line.strip()):
            return match.group(1).strip("\"' ") or None
    return None


class Anchors:
    """Anchors as GitHub makes them; a repeated one gets a number."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def heading(self, token: tuple[int, str]) -> Heading:
        level, content = token
        text = _plain(content)
        return Heading(level, text, self._anchor(text))

    def _anchor(self, text: str) -> str:
        slug = _NOT_IN_ANCHORS.sub("", text.lower()).replace(" ", "-")
        count = self._seen.get(slug, 0)
        self._seen[slug] = count + 1
        return f"{slug}-{count}" if count else slug


def _parsed(lines: Sequence[str], body: int) -> list[Token]:
    """From line `body` on; what is before is blanked, not removed, so that line numbers stay those of the file."""
    return _blocks.parse("\n".join([""] * body + list(lines[body:])))


def _is_comment(content: str) -> bool:
    """Whether there is nothing but comments in it, each with its end."""
    at = 0
    while content.startswith("<!--", at := _next_letter(content, at)):
        end = content.find("-->", at + 2)
        if end < 0:
            return False
        at = end + 3
    return at == len(content)


def _next_letter(content: str, at: int) -> int:
    while at < len(content) and content[at].isspace():
        at += 1
    return at


def _starts(tokens: Sequence[Token]) -> Iterator[tuple[int, bool, tuple[int, str] | None]]:
    """First line, whether it is whole, and a heading's level and content, of each block; a list counts by its items."""
    last = -1
    for number, token in enumerate(tokens):
        if token.map is None or token.nesting < 0 or token.map[0] <= last:
            continue
        top = token.level == 0 and token.type not in {"bullet_list_open", "ordered_list_open"}
        if not top and not (token.level == 1 and token.type == "list_item_open"):
            continue
        last = token.map[0]
        # What a heading says is the token after the one that opens it.
        heading = (int(token.tag[1:]), tokens[number + 1].content) if token.type == "heading_open" else None
        yield last, token.type in {"fence", "code_block", "table_open"}, heading


def _plain(content: str) -> str:
    """A heading's text without its marks."""
    parts: list[str] = []
    for inline in _inline.parseInline(content[:MAX_HEADING]):
        parts += [" " if child.type == "softbreak" else child.content for child in inline.children or []]
    return " ".join("".join(parts).split())


def _front_matter_end(lines: Sequence[str]) -> int:
    """How many lines the front matter takes, its marks included."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() in {"---", "..."}:
            return number
    return 0
