"""What an operator can set of the rag-indexer."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sage_chassis.settings import HTTP_URL

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
    watch: Annotated[
        bool,
        Meta(description="Follow the folders of all collections from the start: a change is indexed within seconds."),
    ] = False
    max_file_bytes: Annotated[int, Meta(ge=1, description="Files larger than this are skipped, by name.")] = 10_000_000
    parser_processes: Annotated[
        int, Meta(ge=1, le=64, description="Processes that read files, begun when there is something to read.")
    ] = 1
    parser_megabytes: Annotated[
        int, Meta(ge=128, description="Memory that one of them may have; a file that wants more is skipped, by name.")
    ] = 512
    parser_seconds: Annotated[
        int, Meta(ge=1, description="Processor time that reading one file may take; else it is skipped, by name.")
    ] = 30
    store: Annotated[
        Literal["edge", "server"],
        Meta(description="edge: Qdrant Edge in this process, in data_dir. server: the Qdrant server at qdrant_url."),
    ] = "edge"
    data_dir: Annotated[
        str,
        Meta(
            min_length=1,
            description="Of uploads and Edge's indexes. One rag-indexer a folder; with store=server all share one.",
        ),
    ] = "~/.sage/rag-indexer"
    qdrant_url: Annotated[str, Meta(pattern="^https?://", description="The Qdrant server.")] = "http://127.0.0.1:6333"
    qdrant_api_key: Annotated[str, Meta(description="Its API key, if it asks for one.")] = ""
    embedding_model: Annotated[
        str,
        Meta(
            description="An embedding model of the fleet for documents; absent: WordLlama, in this process.",
            extra={"env": "SAGE_RAG_EMBEDDING_MODEL"},
        ),
    ] = ""
    embedding_query_prefix: Annotated[
        str,
        Meta(
            description="What that model wants before a question, as `query:`; a space follows it.",
            extra={"env": "SAGE_RAG_EMBEDDING_QUERY_PREFIX"},
        ),
    ] = ""
    embedding_passage_prefix: Annotated[
        str,
        Meta(
            description="What it wants before a passage, as `passage:`; a space follows it.",
            extra={"env": "SAGE_RAG_EMBEDDING_PASSAGE_PREFIX"},
        ),
    ] = ""
    chat_gateway_url: Annotated[
        str, Meta(pattern=HTTP_URL, description="Where chat-gateway is.", extra={"env": "SAGE_CHAT_GATEWAY_URL"})
    ] = "http://127.0.0.1:8011"
    rerank_url: Annotated[
        str,
        Meta(
            pattern=HTTP_URL,
            description="An engine with a `/rerank` that looks at the best passages again; absent: none does.",
            extra={"env": "SAGE_RAG_RERANK_URL"},
        ),
    ] = ""
    rerank_model: Annotated[
        str, Meta(description="The model it is asked for, if it has several.", extra={"env": "SAGE_RAG_RERANK_MODEL"})
    ] = ""
    rerank_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="How long it may take; after that a search answers without it.",
            extra={"env": "SAGE_RAG_RERANK_SECONDS"},
        ),
    ] = 1.0

    @property
    def data_folder(self) -> Path:
        return Path(self.data_dir).expanduser()

    @property
    def upload_folder(self) -> Path:
        return self.data_folder / "uploads"

    @property
    def roots(self) -> tuple[str, ...]:
        return self.allowed_roots or ((self.source_dir,) if self.source_dir else ())
