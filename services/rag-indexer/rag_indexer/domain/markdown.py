"""Cut Markdown into its top-level blocks, by line, without rendering it."""

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_indexer.domain import comments, front_matter
from rag_indexer.domain.blocks import Block, Heading, blocks_from

MAX_HEADING = 300
"""Characters of a heading that are read: inline parsing of a very long line is slow, and nobody cites one."""

MAX_LINE = 20_000
"""Characters of a line that are looked at: what kind of block it is in shows at its beginning."""

_blocks = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
_inline = MarkdownIt("commonmark")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def blocks(lines: Sequence[str]) -> list[Block]:
    """
    The blocks, in order; every line is in exactly one of them.

    Lines that are no block of their own (blank ones, link definitions) belong to the block before them; those before
    any block are a block too.
    """
    body = front_matter.length(lines)
    anchors = Anchors()
    starts = [
        (start, whole, anchors.heading(*heading) if heading else None)
        for start, whole, heading in _starts(_parsed(lines, body))
    ]
    if body and (not starts or starts[0][0] > 0):
        starts.insert(0, (0, True, None))
    return blocks_from(starts, len(lines))


def without_comments(lines: Sequence[str]) -> list[str]:
    """The lines without HTML comments, blank where nothing else stood; those in code are shown, and stay."""
    kept = list(lines)
    if not any("<!--" in line for line in lines):
        return kept
    done = 0
    for token in _parsed(lines, front_matter.length(lines)):
        if token.type not in {"html_block", "inline"} or token.map is None or token.map[1] <= done:
            continue
        start, done = max(token.map[0], done), min(token.map[1], len(kept))
        kept[start:done] = comments.without(kept[start:done], code_spans=token.type == "inline")
    return kept


class Anchors:
    """Anchors as GitHub makes them; a repeated one gets a number."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def heading(self, level: int, content: str) -> Heading:
        text = _plain(content)
        return Heading(level, text, self._anchor(text))

    def _anchor(self, text: str) -> str:
        slug = _NOT_IN_ANCHORS.sub("", text.lower()).replace(" ", "-")
        count = self._seen.get(slug, 0)
        self._seen[slug] = count + 1
        return f"{slug}-{count}" if count else slug


def _parsed(lines: Sequence[str], body: int) -> list[Token]:
    """From line `body` on; what is before is blanked, not removed, so that line numbers stay those of the file."""
    return _blocks.parse("\n".join([""] * body + [line[:MAX_LINE] for line in lines[body:]]))


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
