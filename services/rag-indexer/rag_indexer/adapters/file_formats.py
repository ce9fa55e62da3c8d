"""Which files are read, and by which format's module; a module, and its library, is imported at its first use."""

from importlib import import_module
from importlib.metadata import version
from pathlib import PurePosixPath

import msgspec

from rag_indexer.domain.documents import Document
from rag_indexer.domain.ports import Unreadable

VERSION = 5
"""To be raised when the same bytes would be cut into other chunks: it makes every index be built anew."""
LIBRARIES = ("markdown-it-py", "pypdf", "python-docx", "selectolax")

FORMATS = {
    "marked_text": ".md .markdown .mdx",
    "plain_text": ".txt .text .log",
    "restructured_text": ".rst",
    "web_pages": ".html .htm .xhtml",
    "pdf_files": ".pdf",
    "word_files": ".docx",
    "notebooks": ".ipynb",
    "tables": ".csv .tsv",
    "json_text": ".json .jsonl .ndjson .geojson",
    "source_code": (
        ".py .pyi .js .mjs .cjs .jsx .ts .tsx .vue .svelte .java .cs .kt .kts .scala .swift .php .dart .groovy .c .h"
        " .cc .cpp .cxx .hpp .hh .cu .cuh .m .mm .go .rs .rb .ex .exs .jl .lua .pl .pm .ps1 .sh .bash .zsh .fish .r"
        " .sql .proto .graphql .gql .thrift .tf .hcl .yaml .yml .toml .ini .cfg .conf .properties .css .scss .less"
    ),
}
SUFFIXES = {suffix: name for name, suffixes in FORMATS.items() for suffix in suffixes.split()}


def fingerprint() -> str:
    """Another one whenever chunks may be others: our own rules, and the libraries that find the text."""
    libraries = " ".join(f"{name}-{version(name)}" for name in LIBRARIES)
    return f"chunks-{VERSION} {libraries}"


def read(path: str, data: bytes) -> Document:
    """
    The file as a document with at least one chunk; `path` must end in one of the SUFFIXES.

    Raises Unreadable; and, for a file that is made to do harm or that a library trips over, anything at all, or nothing
    for hours: call it where that does not matter.
    """
    name = SUFFIXES[PurePosixPath(path).suffix.lower()]
    found: Document = import_module(f"rag_indexer.adapters.formats.{name}").document(path, data)
    if not found.chunks:
        raise Unreadable("empty")
    try:
        msgspec.msgpack.encode(found)
    except UnicodeEncodeError:  # halves of letters, which JSON and PDF can name and nothing can store
        return msgspec.convert(_whole(msgspec.to_builtins(found)), Document)
    return found


def _whole(value: object) -> object:
    """Halves of a letter that stand beside each other are put together, every other one becomes U+FFFD."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_whole(key): _whole(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_whole(inner) for inner in value]
    return value
