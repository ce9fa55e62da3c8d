"""What a collection is made of: a folder, and the documents that were uploaded into it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from rag_indexer.domain.building import Wanted
from rag_indexer.domain.manifest import Stamp
from rag_indexer.domain.ports import Content, Folder, Folders, Listing, Record, Unreadable
from sage_contracts.errors import SourceRefused
from sage_contracts.names import DOCS_COLLECTION

_THREADS = 8
UPLOADS = "uploads/"
"""Where uploaded documents stand among a collection's paths."""


class Joined:
    """A folder, if there is one, with the uploads beside it; a path that both have is the upload's."""

    def __init__(self, folder: Folder | None, uploads: Folder) -> None:
        self._folder = folder
        self._uploads = uploads

    @property
    def path(self) -> str:
        return self._folder.path if self._folder else ""

    def listing(self) -> Listing:
        found = self._folder.listing() if self._folder else Listing([], [])
        uploaded = self._uploads.listing()
        mine = {f"{UPLOADS}{path}" for path in uploaded.paths}
        hidden = [f"{path}: an uploaded document has its path" for path in found.paths if path in mine]
        return Listing(
            sorted({*found.paths, *mine}),
            [*found.skipped, *hidden, *(f"{UPLOADS}{skipped}" for skipped in uploaded.skipped)],
        )

    def stamp(self, path: str) -> Stamp | None:
        if (upload := self._upload(path)) is not None:
            return self._uploads.stamp(upload)
        return self._folder.stamp(path) if self._folder else None

    def read(self, path: str) -> Content:
        if (upload := self._upload(path)) is not None:
            return self._uploads.read(upload)
        if self._folder is None:
            raise Unreadable("it does not exist any more")
        return self._folder.read(path)

    def _upload(self, path: str) -> str | None:
        """The upload's name; a path of the folder's own `uploads` is none."""
        name = path.removeprefix(UPLOADS)
        return name if path.startswith(UPLOADS) and self._uploads.stamp(name) is not None else None


class UploadFolders(Protocol):
    def folder(self, collection: str) -> Folder:
        """The uploads of a collection as a folder; its paths are their names."""
        ...

    async def collections(self) -> list[str]:
        """Those that have uploads, in order. Raises StoreUnavailable."""
        ...


class Sources:
    """`default` is the folder of the collection `docs` when nobody has chosen another."""

    def __init__(self, folders: Folders, uploads: UploadFolders, *, default: str | None) -> None:
        self._folders = folders
        self._uploads = uploads
        self._default = default
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="source")
        """Of its own: a folder on a share may hang."""

    async def uploaded(self) -> list[str]:
        """The collections that have uploads, in order, whether or not they are indexed. Raises StoreUnavailable."""
        return await self._uploads.collections()

    def is_uploaded(self, collection: str, path: str) -> bool:
        """Whether this path of the collection is that of an upload. Blocks."""
        return self._uploads.folder(collection).stamp(path.removeprefix(UPLOADS)) is not None

    async def wanted(
        self, collection: str, source_dir: str | None, record: Record | None, *, force: bool, stay: bool
    ) -> Wanted:
        """
        Of the folder that is asked for, else the configured one, else the one the index is made of.

        To `stay`, a folder that a user has once chosen goes before the configured one. Raises SourceRefused for a
        folder that may not be indexed, and when there is nothing to index at all.
        """
        path = source_dir or self._own(collection, record, stay=stay)
        loop = asyncio.get_running_loop()
        folder = await loop.run_in_executor(self._threads, self._open, collection, path, record)
        kept = record is not None and record.chosen and record.source_dir == folder.path
        chosen = bool(source_dir) or (stay and kept) or (collection != DOCS_COLLECTION and bool(folder.path))
        return Wanted(collection, folder, chosen=chosen, force=force)

    def _open(self, collection: str, path: str | None, record: Record | None) -> Folder:
        uploads = self._uploads.folder(collection)
        if path:
            return Joined(self._folders.open(path), uploads)
        if record is None and not uploads.listing().paths:
            raise SourceRefused("no folder is configured: name one in source_dir", param="source_dir")
        return Joined(None, uploads)

    def _own(self, collection: str, record: Record | None, *, stay: bool) -> str | None:
        """Of an index that was made of the configured folder it is the one configured now."""
        configured = self._default if collection == DOCS_COLLECTION else None
        chosen = record.source_dir if record is not None and record.chosen else None
        return (chosen or configured) if stay else (configured or chosen)
