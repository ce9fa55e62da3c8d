"""Documents that were handed over instead of put into a folder, and their place in a collection's index."""

import base64
import binascii
import hashlib
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Protocol

from rag_indexer.domain.builds import collection
from rag_indexer.domain.documents import Meta
from rag_indexer.domain.ports import Folder
from rag_indexer.domain.renewals import Renewals
from rag_indexer.domain.sources import UPLOADS
from sage_contracts import uploads as wire
from sage_contracts.errors import DocumentNotFound, InvalidRequest

MAX_META = 64
"""Fields a document may bring along."""
_DEFAULT_SUFFIX = ".txt"


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    name: str
    size: int
    created_at: datetime
    meta: Meta


@dataclass(frozen=True, slots=True)
class NewUpload:
    """`name` is a file's name without folders, `data` its bytes."""

    name: str
    data: bytes
    meta: Meta


class Shelf(Protocol):
    """Where uploads are kept. Every method raises StoreUnavailable when that fails, StoreFull when it is full."""

    def folder(self, collection: str) -> Folder:
        """The uploads of a collection as a folder; its paths are their names."""
        ...

    async def put(self, collection: str, upload_id: str, new: NewUpload) -> Upload:
        """In place of what had this id."""
        ...

    async def listing(self, collection: str) -> list[Upload]:
        """By name."""
        ...

    async def get(self, collection: str, upload_id: str) -> Upload | None: ...

    async def read(self, collection: str, upload_id: str) -> bytes | None: ...

    async def delete(self, collection: str, upload_id: str) -> bool: ...


class Uploads:
    def __init__(self, shelf: Shelf, renewals: Renewals, *, suffixes: Collection[str], max_bytes: int) -> None:
        self._shelf = shelf
        self._renewals = renewals
        self._suffixes = suffixes
        self._max_bytes = max_bytes

    @property
    def max_bytes(self) -> int:
        return self._max_bytes

    def accepted(self, documents: Sequence[wire.NewDocument]) -> list[NewUpload]:
        """Raises InvalidRequest for a document that could never be indexed, by name."""
        return [self.document(one.name, _content(one), one.meta) for one in documents]

    def document(self, name: str, data: bytes, meta: dict[str, Any]) -> NewUpload:
        """Raises InvalidRequest."""
        cleaned = clean_name(name)
        if PurePosixPath(cleaned).suffix == "":
            cleaned += _DEFAULT_SUFFIX
        if (suffix := PurePosixPath(cleaned).suffix.lower()) not in self._suffixes:
            raise InvalidRequest(f"{cleaned}: files that end in {suffix} cannot be read")
        if len(data) > self._max_bytes:
            raise InvalidRequest(f"{cleaned}: larger than {self._max_bytes} bytes")
        return NewUpload(cleaned, data, _meta(cleaned, meta))

    async def add(self, documents: Sequence[NewUpload], asked: str | None, *, wait: bool) -> wire.Uploaded:
        name = collection(asked)
        told = [_told(upload, name) for upload in await self.put(documents, name)]
        if not wait:
            self._renewals.touch(name)
            return wire.Uploaded(documents=told, indexed=False)
        built = await self._renewals.renew(name)
        if built is None or built.index is None:
            return wire.Uploaded(documents=told, indexed=False)
        skipped = [line for line in built.index.skipped if any(line.startswith(f"{one.path}: ") for one in told)]
        return wire.Uploaded(documents=told, indexed=True, skipped=skipped)

    async def put(self, documents: Sequence[NewUpload], name: str) -> list[Upload]:
        """For the next build of this collection."""
        return [await self._shelf.put(name, upload_id(name, one.name), one) for one in documents]

    async def listing(self, asked: str | None) -> wire.DocumentList:
        name = collection(asked)
        return wire.DocumentList(documents=[_told(upload, name) for upload in await self._shelf.listing(name)])

    async def get(self, document_id: str, asked: str | None) -> wire.DocumentInfo:
        """Raises DocumentNotFound."""
        name = collection(asked)
        if (upload := await self._shelf.get(name, document_id)) is None:
            raise _not_found(document_id)
        return _told(upload, name)

    async def delete(self, document_id: str, asked: str | None) -> wire.DocumentDeleted:
        """Its passages are gone too when this returns. Raises DocumentNotFound."""
        name = collection(asked)
        upload = await self._shelf.get(name, document_id)
        if upload is None or not await self._shelf.delete(name, document_id):
            raise _not_found(document_id)
        await self._renewals.take_out(name, f"{UPLOADS}{upload.name}")
        return wire.DocumentDeleted(status="deleted", id=document_id)


def upload_id(collection: str, name: str) -> str:
    """The same name in the same collection is the same document."""
    return hashlib.sha256(f"{collection}\0{name}".encode()).hexdigest()[:24]


def clean_name(name: str) -> str:
    """
    The last part of a path, without control characters and leading dots, at most 200 bytes with its suffix kept.

    Raises InvalidRequest when nothing is left.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C").strip().lstrip(".").strip()
    if not kept:
        raise InvalidRequest(f"{name!r} is no name of a document", param="name")
    path = PurePosixPath(kept)
    suffix = path.suffix if len(path.suffix.encode()) <= 20 else ""
    stem = kept.removesuffix(suffix).encode()[: 200 - len(suffix.encode())].decode("utf-8", "ignore")
    return f"{stem}{suffix}"


def _content(document: wire.NewDocument) -> bytes:
    if (document.text is None) == (document.content_base64 is None):
        raise InvalidRequest(f"{document.name}: give either text or content_base64", param="documents")
    if document.text is not None:
        return document.text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(document.content_base64 or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{document.name}: content_base64 is not base64", param="documents") from error


def _meta(name: str, meta: dict[str, Any]) -> Meta:
    if len(meta) > MAX_META:
        raise InvalidRequest(f"{name}: more than {MAX_META} fields of meta", param="meta")
    for field, value in meta.items():
        listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not listed and not isinstance(value, str | int | float | bool):
            raise InvalidRequest(f"{name}: meta.{field} must be a scalar or a list of strings", param="meta")
    return dict(meta)


def _told(upload: Upload, collection: str) -> wire.DocumentInfo:
    return wire.DocumentInfo(
        id=upload.id,
        name=upload.name,
        path=f"{UPLOADS}{upload.name}",
        bytes=upload.size,
        created_at=upload.created_at,
        collection=collection,
        meta=dict(upload.meta),
    )


def _not_found(document_id: str) -> DocumentNotFound:
    return DocumentNotFound(f"there is no document {document_id!r}")
