"""HTML: what a reader sees of it, block by block, each at the line of the file that it comes from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag_indexer.domain import chunking
from rag_indexer.domain.blocks import Heading, Rows, blocks_from
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document, Meta
from rag_indexer.domain.ports import Unreadable

MAX_HEADING = 300
MAX_META = 1_000

_LINE = "data-sage-line"
_MARK = "sage-line:"
_TAG = re.compile(
    r"<([a-zA-Z][a-zA-Z0-9-]{0,30})(?=[\s/>])((?:[^<>\"']|\"[^\"]{0,2000}\"|'[^']{0,2000}')*+)"
    r"|</[a-zA-Z][a-zA-Z0-9-]{0,30}\s++>"
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_OURS = re.compile(rf" {_LINE}=\d+|<!--{_MARK}\d+-->")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9_-]{1,40})", re.IGNORECASE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_NOT_READ = frozenset({
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "nav", "footer", "head", "button",
    "select", "-doctype",
})  # fmt: skip
_INLINE = frozenset({
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img", "input", "ins",
    "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
    "var", "wbr",
})  # fmt: skip
_IN_CELLS = frozenset({"td", "th", "p", "div", "tbody", "thead", "tfoot", "colgroup", "col"})
_LAID_OUT = "h1, h2, h3, h4, h5, h6, table"
"""What a table of data has not in it."""
_META_NAMES = {"author": "author", "date": "date", "description": "description", "keywords": "tags"}


def document(_path: str, data: bytes) -> Document:
    text = _decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    tree = LexborHTMLParser(_with_lines(text))
    if tree.body is None:
        raise Unreadable("no text in it")
    page = _Page()
    _walk(tree.body, page)
    page.end_block()
    title = tree.css_first("title")
    named = " ".join(_OURS.sub("", title.text()).split()) if title else ""
    heading = next((heading.text for _, _, heading in page.starts if heading and heading.text), None)
    return Document(
        title=named[:MAX_HEADING] or heading or "",
        chunks=chunking.chunks(Rows(page.texts, page.numbers), blocks_from(page.starts, len(page.texts))),
        type="html",
        meta=_meta(tree),
    )


@dataclass(slots=True)
class _Page:
    """The rows as they are found. A row is a line of the source, as far as a reader sees it."""

    texts: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    starts: list[tuple[int, bool, Heading | None]] = field(default_factory=list)
    line: int = 1
    words: list[str] = field(default_factory=list)
    """Those of the row that is being read, and where it began."""
    began: int = 1
    opened: tuple[bool, Heading | None] | None = (False, None)
    """What the next row begins: a block, whole or not, perhaps with a heading."""
    pre: int = 0
    tables: list[bool] = field(default_factory=list)
    """The open ones, outermost first, and whether each holds data: pages used to be laid out by tables."""
    cells: int = 0
    filled: bool = False

    @property
    def table(self) -> bool:
        return bool(self.tables) and self.tables[-1]

    def read(self, text: str) -> None:
        for number, part in enumerate(text.split("\n")):
            if number:
                if self.table and not self.pre:
                    self.words.append(" ")  # a row of a table is one row here, however it is written
                else:
                    self.end_row()
                self.line += 1
            if not self.filled:
                self.began, self.filled = self.line, bool(part.strip())
            self.words.append(part)

    def end_row(self) -> None:
        text = "".join(self.words)
        text = text.rstrip() if self.pre else " ".join(text.split())
        self.words.clear()
        self.filled = False
        if not text and (self.opened is not None or not self.pre or not self.texts[-1]):
            return
        if self.opened is not None:
            tight = text.startswith("- ") and self.texts[-1:] and self.texts[-1].startswith("- ")
            if self.texts and self.texts[-1] and not tight:
                self.texts.append("")
                self.numbers.append(self.numbers[-1])
            self.starts.append((len(self.texts), *self.opened))
            self.opened = None
        self.texts.append(text)
        self.numbers.append(max(self.began, self.numbers[-1]) if self.numbers else self.began)

    def end_block(self, *, whole: bool = False) -> None:
        self.end_row()
        if not self.table or whole:
            self.opened = whole, None


def _walk(root: LexborNode, page: _Page) -> None:
    """Without recursion: pages nest as deep as they like."""
    open_nodes: list[LexborNode] = []
    node: LexborNode | None = root
    while node is not None:
        below = node.child if _enter(node, page) else None
        if below is not None:
            open_nodes.append(node)
            node = below
            continue
        following = node.next if open_nodes else None
        while following is None and open_nodes:
            parent = open_nodes.pop()
            _leave(parent, page)
            following = parent.next if open_nodes else None
        node = following


def _enter(node: LexborNode, page: _Page) -> bool:
    """Whether what is in it is to be read."""
    tag = node.tag or ""
    if tag == "-text":
        page.read(node.text_content or "")
        return False
    if tag == "-comment":
        page.line = max(page.line, _number((node.comment_content or "").removeprefix(_MARK)))
        return False
    attributes = {} if tag in _NOT_READ else node.attributes
    if tag in _NOT_READ or _is_hidden(tag, attributes):
        return False
    line = _number(attributes.get(_LINE) or "")
    # A browser opens formatting anew where it was not closed, and then the line is one of long ago.
    page.line = max(page.line, line) if tag in _INLINE else line or page.line
    _open(node, tag, page)
    return True


def _is_hidden(tag: str, attributes: Mapping[str, str | None]) -> bool:
    """What a browser does not show, and the mark that links a heading to itself."""
    if "hidden" in attributes or (tag == "a" and "headerlink" in (attributes.get("class") or "")):
        return True
    return _HIDDEN.search(attributes.get("style") or "", 0, 1_000) is not None


def _open(node: LexborNode, tag: str, page: _Page) -> None:
    match tag:
        case "br" | "tr":
            page.end_row()
            page.cells = 0
        case "pre":
            page.end_block(whole=True)
            page.pre += 1
        case "table":
            page.tables.append(all(inner.mem_id == node.mem_id for inner in node.css(_LAID_OUT)[:2]))
            page.end_block(whole=page.table)
        case "td" | "th" if page.table:
            if page.cells:
                page.words.append(" | ")
            page.cells += 1
        case "li":
            page.end_block()
            page.read("- ")
        case _ if tag in _HEADINGS:
            page.end_row()
            page.opened = False, _heading(node, _HEADINGS[tag])
        case _ if page.table and tag in _IN_CELLS:
            page.words.append(" ")
        case _ if tag not in _INLINE:
            page.end_block()


def _leave(node: LexborNode, page: _Page) -> None:
    tag = node.tag or ""
    if tag in _INLINE or (page.table and tag in _IN_CELLS):
        return
    page.end_row()
    page.pre -= tag == "pre"
    if tag == "table":
        page.tables.pop()
    page.end_block()


def _heading(node: LexborNode, level: int) -> Heading:
    text = " ".join(node.text().split())[:MAX_HEADING].rstrip("¶ ")
    anchor = node.attributes.get("id") or ""
    parent = node.parent
    if not anchor and parent is not None and parent.tag in {"section", "div", "article"}:
        anchor = parent.attributes.get("id") or ""
    return Heading(level, text, anchor)


def _number(said: str) -> int:
    return int(said) if said.isdecimal() and len(said) < 10 else 0


def _with_lines(text: str) -> str:
    """
    Each start tag with the number of the line it ends on, and a comment with it after an end tag of several lines.

    In an attribute's value or a script an attribute does no harm: there is no quote and no bracket in it.
    """
    line = 1
    last = 0

    def told(match: re.Match[str]) -> str:
        nonlocal line, last
        line += text.count("\n", last, match.end())
        last = match.end()
        if match.group(1) is None:
            return f"{match.group()}<!--{_MARK}{line}-->" if "\n" in match.group() else match.group()
        # The line break right after it is no part of what is in it.
        skipped = match.group(1).lower() == "pre" and text.startswith(">\n", match.end())
        return f"<{match.group(1)} {_LINE}={line + skipped}{match.group(2)}"

    return _TAG.sub(told, text)


def _decoded(data: bytes) -> str:
    match = _CHARSET.search(data, 0, 4_096)
    if match is not None and not data.startswith(b"\xef\xbb\xbf"):
        try:
            text = data.decode(match.group(1).decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            return as_text(data)
        return as_text(text.encode("utf-8", "replace"))
    return as_text(data)


def _meta(tree: LexborHTMLParser) -> Meta:
    found: Meta = {}
    for node in tree.css("meta[name]")[:200]:
        name = _META_NAMES.get((node.attributes.get("name") or "").lower())
        content = " ".join((node.attributes.get("content") or "").split())[:MAX_META]
        if name and content:
            found[name] = [tag for tag in map(str.strip, content.split(",")) if tag][:64] if name == "tags" else content
    return found
