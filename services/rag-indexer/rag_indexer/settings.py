"""What an operator can set of the rag-indexer."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

PREFIX = "SAGE_RAG_INDEXER_"
PORT = 8013


class Settings(Struct, frozen=True, kw_only=True):
    source_dir: Annotated[str, Meta(description="The folder that a build indexes when it names none.")] = ""
    allowed_roots: Annotated[
        tuple[str, ...],
        Meta(description="Folders, with commas, that may be indexed with all that is in them; absent: source_dir."),
    ] = ()
    build_at_start: Annotated[
        bool,
        Meta(description="Bring the index up to date at start, with the folder a request chose or else source_dir."),
    ] = True
    max_file_bytes: Annotated[int, Meta(ge=1, description="Files larger than this are skipped, by name.")] = 10_000_000
    store: Annotated[
        Literal["edge", "server"],
        Meta(description="edge: Qdrant Edge in this process, in data_dir. server: the Qdrant server at qdrant_url."),
    ] = "edge"
    data_dir: Annotated[
        str, Meta(min_length=1, description="Where Qdrant Edge keeps the index. One rag-indexer a folder.")
    ] = "~/.sage/rag-indexer"
    qdrant_url: Annotated[str, Meta(pattern="^https?://", description="The Qdrant server.")] = "http://127.0.0.1:6333"
    qdrant_api_key: Annotated[str, Meta(description="Its API key, if it asks for one.")] = ""

    @property
    def data_folder(self) -> Path:
        return Path(self.data_dir).expanduser()

    @property
    def roots(self) -> tuple[str, ...]:
        return self.allowed_roots or ((self.source_dir,) if self.source_dir else ())
