"""Documents that are handed to the rag-indexer, for users without a folder that it can read."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sage_contracts.call import Call, Opaque
from sage_contracts.index import CollectionQuery

MAX_NAME = 255


class NewDocument(Struct, frozen=True, kw_only=True):
    """
    Either `text` or `content_base64`. The name's suffix tells the format; a name taken before is replaced.

    `meta` joins the document's own front matter, and wins.
    """

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    text: str | None = None
    content_base64: str | None = None
    meta: dict[str, Any] = {}


class UploadRequest(Struct, frozen=True, kw_only=True):
    """`wait` false does not wait until the documents can be found. As multipart/form-data: parts `file`."""

    documents: Annotated[list[NewDocument], Meta(min_length=1, max_length=1_000)]
    collection: str | None = None
    wait: bool = True


class UploadQuery(Struct, frozen=True, kw_only=True):
    """Of an upload as multipart/form-data, whose parts are files alone."""

    collection: str | None = None
    wait: bool = True


class DocumentInfo(Struct, frozen=True, kw_only=True):
    """`path` is what the document's passages are cited by."""

    id: str
    name: str
    path: str
    bytes: int
    created_at: datetime
    collection: str
    meta: dict[str, Any] = {}


class Uploaded(Struct, frozen=True, kw_only=True):
    """`indexed` is false while the documents cannot be found yet; `skipped` names those that will not be, and why."""

    documents: list[DocumentInfo]
    indexed: bool
    skipped: list[str] = []


class DocumentList(Struct, frozen=True, kw_only=True):
    documents: list[DocumentInfo]


class DocumentDeleted(Struct, frozen=True, kw_only=True):
    status: Literal["deleted"]
    id: str


UPLOAD = Call("POST", "/admin/index/documents", Opaque, Uploaded, query=UploadQuery)
"""The body is an UploadRequest as JSON, or multipart/form-data."""

LIST = Call("GET", "/admin/index/documents", CollectionQuery, DocumentList)
GET = Call("GET", "/admin/index/documents/{document_id}", CollectionQuery, DocumentInfo)
DELETE = Call("DELETE", "/admin/index/documents/{document_id}", CollectionQuery, DocumentDeleted)
