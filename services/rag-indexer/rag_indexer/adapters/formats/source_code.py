"""Source code: cut by its symbols, Python's as its own parser sees them, others' by how their lines look."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from rag_indexer.domain import chunking, symbols
from rag_indexer.domain.blocks import Heading, Rows, blocks_from, lines_of
from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.documents import Document
from rag_indexer.domain.symbols import Start

PYTHON = frozenset({".py", ".pyi"})


def document(path: str, data: bytes) -> Document:
    lines = lines_of(as_text(data))
    suffix = PurePosixPath(path).suffix.lower()
    starts = (_of_python(lines) if suffix in PYTHON else None) or symbols.starts(lines, symbols.LANGUAGES[suffix])
    cut = chunking.chunks(Rows(lines), blocks_from(starts, len(lines)))
    return Document("", tuple(replace(chunk, anchor=f"L{chunk.first_line}") for chunk in cut), "code")


def _of_python(lines: Sequence[str]) -> list[Start] | None:
    """None for what is not Python as this Python knows it."""
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: list[Start] = []
    open_nodes: list[tuple[ast.AST, int]] = [(tree, 1)]
    while open_nodes:
        parent, level = open_nodes.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.append((_first_line(node) - 1, True, Heading(level, node.name, "")))
                if node.end_lineno is not None and node.end_lineno < len(lines):
                    # What follows is the parent's again, and must not be cited by this one's name.
                    found.append((node.end_lineno, False, Heading(level, "", "")))
                if isinstance(node, ast.ClassDef):
                    open_nodes.append((node, level + 1))
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                open_nodes.append((node, level))
    return symbols.tidied(found, lines)


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
