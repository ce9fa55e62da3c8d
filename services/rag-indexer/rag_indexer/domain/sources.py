"""What a collection is made of: a folder, and the documents that were uploaded into it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from rag_indexer.domain.building import Wanted
from rag_indexer.domain.manifest import Stamp
from rag_indexer.domain.ports import Content, Folder, Folders, Listing, Record, Unreadable
from rag_indexer.domain.progress import PATIENCE_SECONDS
from sage_contracts.errors import SourceRefused, Unavailable
from sage_contracts.names import DOCS_COLLECTION

_RETRY_SECONDS = 5.0
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
    """
    `default` is the folder of the collection `docs` when nobody has chosen another.

    `patience` is for how many seconds a folder may leave open whether it can be indexed.
    """

    def __init__(
        self, folders: Folders, uploads: UploadFolders, *, default: str | None, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._folders = folders
        self._uploads = uploads
        self._default = default
        self._patience = patience
        self._opening: dict[str, asyncio.Future[Folder]] = {}
        """Folders that have not answered yet, by what they are asked for as."""

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
        folder that may not be indexed, and when there is nothing to index at all; Unavailable for one that hangs.
        """
        path = source_dir or self._own(collection, record, stay=stay)
        uploads = self._uploads.folder(collection)
        if not path and record is None and not (await asyncio.to_thread(uploads.listing)).paths:
            raise SourceRefused("no folder is configured: name one in source_dir", param="source_dir")
        folder = Joined(await self._opened(path) if path else None, uploads)
        kept = record is not None and record.chosen and record.source_dir == folder.path
        chosen = bool(source_dir) or (stay and kept) or (collection != DOCS_COLLECTION and bool(folder.path))
        before = None if record is None else record.source_dir
        return Wanted(collection, folder, chosen=chosen, force=force, before=before)

    async def _opened(self, path: str) -> Folder:
        """In a thread of its own, because a folder on a share may hang; and in one, however often that is asked for."""
        if (opening := self._opening.get(path)) is None:
            threads = ThreadPoolExecutor(1, thread_name_prefix="source")
            opening = asyncio.get_running_loop().run_in_executor(threads, self._folders.open, path)
            threads.shutdown(wait=False)
            self._opening[path] = opening
            opening.add_done_callback(partial(self._answered, path))
        await asyncio.wait([opening], timeout=self._patience)
        if not opening.done():
            raise Unavailable(f"the folder {path} does not answer", retry_after=_RETRY_SECONDS)
        return opening.result()

    def _answered(self, path: str, opening: asyncio.Future[Folder]) -> None:
        """Its error too is of no more interest when nobody waits any more."""
        del self._opening[path]
        if not opening.cancelled():
            opening.exception()

    def _own(self, collection: str, record: Record | None, *, stay: bool) -> str | None:
        """Of an index that was made of the configured folder it is the one configured now."""
        configured = self._default if collection == DOCS_COLLECTION else None
        chosen = record.source_dir if record is not None and record.chosen else None
        return (chosen or configured) if stay else (configured or chosen)
