"""OpenAI's vector stores and files over the rag-indexer's collections: `vs_<name>` is the collection of that name."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sage_contracts.call import Call, Empty, Opaque

MAX_PAGE = 100
Attributes = dict[str, str | float | bool]


class NewStore(Struct, frozen=True, kw_only=True):
    """`name` becomes the collection's where it can be one; another name gets a collection of its own making."""

    name: str | None = None
    description: str | None = None
    file_ids: list[str] = []
    metadata: dict[str, str] | None = None
    expires_after: dict[str, Any] | None = None
    chunking_strategy: dict[str, Any] | None = None


class StoreChange(Struct, frozen=True, kw_only=True):
    name: str | None = None
    metadata: dict[str, str] | None = None
    expires_after: dict[str, Any] | None = None


class FileCounts(Struct, frozen=True, kw_only=True):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class Store(Struct, frozen=True, kw_only=True):
    """The counts are of attached files and of those in the collection's folder, if it has one. Times: unix seconds."""

    id: str
    created_at: int
    name: str
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["in_progress", "completed"]
    metadata: dict[str, str]
    description: str | None = None
    last_active_at: int | None = None
    expires_after: None = None
    expires_at: None = None
    object: Literal["vector_store"] = "vector_store"


class PageQuery(Struct, frozen=True, kw_only=True):
    """`after` and `before` are ids; `filter` a status of files."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None
    filter: Literal["in_progress", "completed", "failed", "cancelled"] | None = None


class StorePage(Struct, frozen=True, kw_only=True):
    data: list[Store]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class StoreDeleted(Struct, frozen=True, kw_only=True):
    id: str
    deleted: bool = True
    object: Literal["vector_store.deleted"] = "vector_store.deleted"


class NewStoreFile(Struct, frozen=True, kw_only=True):
    file_id: str
    attributes: Attributes | None = None
    chunking_strategy: dict[str, Any] | None = None


class StoreFileChange(Struct, frozen=True, kw_only=True):
    attributes: Attributes | None


class FileError(Struct, frozen=True, kw_only=True):
    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class StoreFile(Struct, frozen=True, kw_only=True):
    id: str
    created_at: int
    usage_bytes: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    attributes: dict[str, Any]
    last_error: FileError | None = None
    object: Literal["vector_store.file"] = "vector_store.file"


class StoreFilePage(Struct, frozen=True, kw_only=True):
    data: list[StoreFile]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class StoreFileDeleted(Struct, frozen=True, kw_only=True):
    """The file itself stays."""

    id: str
    deleted: bool = True
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"


class StoreSearch(Struct, frozen=True, kw_only=True):
    """`filters`: `eq` and `in` on attributes, joined by `and`."""

    query: str | list[str]
    max_num_results: Annotated[int, Meta(ge=1, le=50)] = 10
    filters: dict[str, Any] | None = None
    ranking_options: dict[str, Any] | None = None
    rewrite_query: bool = False


class TextContent(Struct, frozen=True, kw_only=True):
    text: str
    type: Literal["text"] = "text"


class StoreHit(Struct, frozen=True, kw_only=True):
    file_id: str
    filename: str
    score: float
    attributes: dict[str, Any]
    content: list[TextContent]


class StoreHits(Struct, frozen=True, kw_only=True):
    """Empty when nothing found is worth quoting."""

    search_query: list[str]
    data: list[StoreHit]
    has_more: bool = False
    next_page: str | None = None
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"


class File(Struct, frozen=True, kw_only=True):
    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    expires_at: None = None
    object: Literal["file"] = "file"


class FileQuery(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    purpose: str | None = None


class FilePage(Struct, frozen=True, kw_only=True):
    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class FileDeleted(Struct, frozen=True, kw_only=True):
    """It is in no vector store any more either."""

    id: str
    deleted: bool = True
    object: Literal["file"] = "file"


_STORE = "/v1/vector_stores/{vector_store_id}"
_STORE_FILE = _STORE + "/files/{file_id}"

CREATE = Call("POST", "/v1/vector_stores", NewStore, Store)
LIST = Call("GET", "/v1/vector_stores", PageQuery, StorePage)
GET = Call("GET", _STORE, Empty, Store)
CHANGE = Call("POST", _STORE, StoreChange, Store)
DELETE = Call("DELETE", _STORE, Empty, StoreDeleted)
SEARCH = Call("POST", _STORE + "/search", StoreSearch, StoreHits)
ATTACH = Call("POST", _STORE + "/files", NewStoreFile, StoreFile)
STORE_FILES = Call("GET", _STORE + "/files", PageQuery, StoreFilePage)
STORE_FILE = Call("GET", _STORE_FILE, Empty, StoreFile)
CHANGE_FILE = Call("POST", _STORE_FILE, StoreFileChange, StoreFile)
DETACH = Call("DELETE", _STORE_FILE, Empty, StoreFileDeleted)
UPLOAD = Call("POST", "/v1/files", Opaque, File)
FILES = Call("GET", "/v1/files", FileQuery, FilePage)
FILE = Call("GET", "/v1/files/{file_id}", Empty, File)
FILE_CONTENT = Call("GET", "/v1/files/{file_id}/content", Empty, Opaque)
DELETE_FILE = Call("DELETE", "/v1/files/{file_id}", Empty, FileDeleted)
