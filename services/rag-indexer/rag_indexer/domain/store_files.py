"""The files of a vector store: the documents uploaded into its collection."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from weakref import WeakValueDictionary

from rag_indexer.domain import attributes
from rag_indexer.domain.builds import Builds
from rag_indexer.domain.files import PREFIX, Files
from rag_indexer.domain.manifest import FileState, Manifest
from rag_indexer.domain.paging import page
from rag_indexer.domain.ports import Collections
from rag_indexer.domain.sources import UPLOADS
from rag_indexer.domain.uploads import NewUpload, Shelf, Upload, Uploads
from sage_contracts import vector_stores as wire
from sage_contracts.errors import DocumentNotFound, InvalidRequest


class StoreFiles:
    """By the name of the store's collection. An upload that came by another way is a file here too."""

    def __init__(
        self, *, shelf: Shelf, uploads: Uploads, files: Files, builds: Builds, collections: Collections
    ) -> None:
        self._shelf = shelf
        self._uploads = uploads
        self._files = files
        self._builds = builds
        self._collections = collections
        self._naming: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By collection, held from when a name is found free until it is taken."""

    async def attach(self, collection: str, new: Sequence[wire.NewStoreFile]) -> None:
        """
        They are in the next build. What is attached already stays as it is.

        Raises DocumentNotFound, and InvalidRequest for a file of a format that cannot be read; then none is attached.
        """
        async with self._naming.setdefault(collection, asyncio.Lock()):
            there = await self._shelf.listing(collection)
            taken = {upload.name for upload in there}
            known = {_file_id(upload) for upload in there}
            documents = []
            for one in new:
                _refuse_chunking(one.chunking_strategy)
                if one.file_id not in known:
                    documents.append(await self._document(one, taken))
                    taken.add(documents[-1].name)
                    known.add(one.file_id)
            await self._uploads.put(documents, collection)

    async def listing(self, collection: str, asked: wire.PageQuery) -> wire.StoreFilePage:
        uploads = sorted(
            await self._shelf.listing(collection), key=lambda upload: (upload.created_at, upload.id), reverse=True
        )
        told = await self._telling(collection)
        found = [upload for upload in uploads if asked.filter in {None, told(upload).status}]
        shown, has_more = page(
            found, _file_id, limit=asked.limit, order=asked.order, after=asked.after, before=asked.before
        )
        files = [told(upload) for upload in shown]
        first, last = (files[0].id, files[-1].id) if files else (None, None)
        return wire.StoreFilePage(data=files, first_id=first, last_id=last, has_more=has_more)

    async def get(self, collection: str, file_id: str) -> wire.StoreFile:
        """Raises DocumentNotFound."""
        upload = await self._upload(collection, file_id)
        return (await self._telling(collection))(upload)

    async def change(self, collection: str, file_id: str, change: wire.StoreFileChange) -> None:
        """In the next build. Raises DocumentNotFound and InvalidRequest."""
        upload = await self._upload(collection, file_id)
        meta = {**attributes.checked(change.attributes), attributes.FILE_ID: file_id}
        data = await self._shelf.read(collection, upload.id)
        if data is None:
            raise _not_found(file_id)
        await self._uploads.put([NewUpload(upload.name, data, meta)], collection)

    async def detach(self, collection: str, file_id: str) -> wire.StoreFileDeleted:
        """It cannot be found any more when this returns. Raises DocumentNotFound."""
        await self._uploads.delete((await self._upload(collection, file_id)).id, collection)
        return wire.StoreFileDeleted(id=file_id)

    async def forget(self, collection: str, file_id: str) -> None:
        """As `detach`, where it is attached."""
        for upload in await self._shelf.listing(collection):
            if _file_id(upload) == file_id:
                await self._uploads.delete(upload.id, collection)

    async def clear(self, collection: str, only: str | None = None) -> None:
        """None is there any more, or `only` this one not; the index stays as it is."""
        for upload in await self._shelf.listing(collection):
            if only in {None, _file_id(upload)}:
                await self._shelf.delete(collection, upload.id)

    async def any(self, collection: str) -> bool:
        return bool(await self._shelf.listing(collection))

    async def waiting(self, collection: str, indexed: Manifest) -> int:
        """How many are not indexed yet."""
        return sum(UPLOADS + upload.name not in indexed for upload in await self._shelf.listing(collection))

    async def _document(self, new: wire.NewStoreFile, taken: set[str]) -> NewUpload:
        """Two files of one name are told apart by an end of their ids."""
        file = await self._files.get(new.file_id)
        meta: dict[str, Any] = {**attributes.checked(new.attributes), attributes.FILE_ID: file.id}
        document = self._uploads.document(file.filename, await self._files.content(file.id), meta)
        ends = (file.id[-digits:] for digits in (6, 24))
        names = (document.name, *(_with_end(document.name, end) for end in ends))
        return replace(document, name=next(name for name in names if name not in taken))

    async def _upload(self, collection: str, file_id: str) -> Upload:
        for upload in await self._shelf.listing(collection):
            if _file_id(upload) == file_id:
                return upload
        raise _not_found(file_id)

    async def _telling(self, collection: str) -> Callable[[Upload], wire.StoreFile]:
        """How each file stands by what is known of the index now."""
        indexed = await (await self._collections.open(collection)).manifest()
        now = await self._builds.status(collection)
        failed = (now.error or "the build failed") if now.status == "failed" else None
        return lambda upload: _told(upload, collection, indexed.get(UPLOADS + upload.name), failed)


def _told(upload: Upload, collection: str, state: FileState | None, failed: str | None) -> wire.StoreFile:
    error = None
    if state is None and failed is not None:
        error = wire.FileError(code="server_error", message=failed)
    elif state is not None and state.unreadable is not None:
        error = wire.FileError(code="invalid_file", message=state.unreadable)
    return wire.StoreFile(
        id=_file_id(upload),
        created_at=int(upload.created_at.timestamp()),
        usage_bytes=upload.size,
        vector_store_id=f"vs_{collection}",
        status="failed" if error else "completed" if state else "in_progress",
        attributes=attributes.told(upload.meta),
        last_error=error,
    )


def _file_id(upload: Upload) -> str:
    return str(upload.meta.get(attributes.FILE_ID) or f"{PREFIX}{upload.id}")


def _with_end(name: str, end: str) -> str:
    """As long as a document's name may be."""
    path = PurePosixPath(name)
    stem = path.stem.encode()[:150].decode("utf-8", "ignore")
    return f"{stem}-{end}{path.suffix}"


def _refuse_chunking(strategy: dict[str, Any] | None) -> None:
    if strategy is not None and strategy.get("type") != "auto":
        raise InvalidRequest(
            "documents are cut along their own structure: leave chunking_strategy out", param="chunking_strategy"
        )


def _not_found(file_id: str) -> DocumentNotFound:
    return DocumentNotFound(f"there is no file {file_id!r} in this vector store", param="file_id")
