"""Files that were handed over for vector stores, and are in none until they are attached."""

from collections.abc import Callable

from rag_indexer.domain.paging import page
from rag_indexer.domain.uploads import NewUpload, Shelf, Upload, clean_name
from sage_contracts import vector_stores as wire
from sage_contracts.errors import DocumentNotFound, InvalidRequest

SHELF = "files"
"""Where they lie on a shelf of their own."""
PREFIX = "file-"
PURPOSES = ("assistants", "user_data")


class Files:
    """`new_id` makes 24 hexadecimal digits that were never there before."""

    def __init__(self, shelf: Shelf, *, max_bytes: int, new_id: Callable[[], str]) -> None:
        self._shelf = shelf
        self._max_bytes = max_bytes
        self._new_id = new_id

    async def add(self, name: str, data: bytes, purpose: str) -> wire.File:
        """Raises InvalidRequest."""
        if purpose not in PURPOSES:
            raise InvalidRequest(f"purpose must be one of: {', '.join(PURPOSES)}", param="purpose")
        if len(data) > self._max_bytes:
            raise InvalidRequest(f"the file is larger than {self._max_bytes} bytes", param="file")
        new = NewUpload(clean_name(name), data, {"purpose": purpose})
        return _told(await self._shelf.put(SHELF, self._new_id(), new))

    async def listing(self, asked: wire.FileQuery) -> wire.FilePage:
        found = [_told(upload) for upload in await self._shelf.listing(SHELF)]
        found = [file for file in found if asked.purpose in {None, file.purpose}]
        found.sort(key=lambda file: (-file.created_at, file.id))
        shown, has_more = page(found, lambda file: file.id, limit=asked.limit, order=asked.order, after=asked.after)
        first, last = (shown[0].id, shown[-1].id) if shown else (None, None)
        return wire.FilePage(data=shown, first_id=first, last_id=last, has_more=has_more)

    async def get(self, file_id: str) -> wire.File:
        """Raises DocumentNotFound."""
        return _told(await self._upload(file_id))

    async def content(self, file_id: str) -> bytes:
        """Raises DocumentNotFound."""
        upload = await self._upload(file_id)
        if (data := await self._shelf.read(SHELF, upload.id)) is None:
            raise _not_found(file_id)
        return data

    async def delete(self, file_id: str) -> wire.FileDeleted:
        """Raises DocumentNotFound."""
        if not await self._shelf.delete(SHELF, file_id.removeprefix(PREFIX)):
            raise _not_found(file_id)
        return wire.FileDeleted(id=file_id)

    async def _upload(self, file_id: str) -> Upload:
        upload = await self._shelf.get(SHELF, file_id.removeprefix(PREFIX)) if file_id.startswith(PREFIX) else None
        if upload is None:
            raise _not_found(file_id)
        return upload


def _told(upload: Upload) -> wire.File:
    return wire.File(
        id=f"{PREFIX}{upload.id}",
        bytes=upload.size,
        created_at=int(upload.created_at.timestamp()),
        filename=upload.name,
        purpose=str(upload.meta.get("purpose", PURPOSES[0])),
    )


def _not_found(file_id: str) -> DocumentNotFound:
    return DocumentNotFound(f"there is no file {file_id!r}", param="file_id")
