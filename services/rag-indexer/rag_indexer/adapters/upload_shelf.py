"""Uploaded documents on disk: `<root>/<collection>/<id>.json` says what a document is and which file has its bytes."""

import asyncio
import errno
import fcntl
import hashlib
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from rag_indexer.adapters.data_folder import write_durably
from rag_indexer.domain.documents import Meta
from rag_indexer.domain.manifest import Stamp
from rag_indexer.domain.ports import Content, Folder, Listing, Unreadable
from rag_indexer.domain.uploads import NewUpload, Upload, upload_id
from sage_contracts.errors import StoreFull, StoreUnavailable

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{24}", re.ASCII)


class _About(Struct, frozen=True, kw_only=True):
    name: str
    file: str
    size: int
    created_at: datetime
    meta: Meta = {}


class UploadShelf:
    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, collection: str) -> Folder:
        return _UploadFolder(self._root / collection, collection)

    async def collections(self) -> list[str]:
        return await _done(lambda: sorted({path.parent.name for path in self._root.glob("*/*.json")}))

    async def put(self, collection: str, upload_id: str, new: NewUpload) -> Upload:
        return await _done(lambda: _put(self._root / collection, upload_id, new))

    async def listing(self, collection: str) -> list[Upload]:
        found = await _done(lambda: _all(self._root / collection))
        return sorted((_upload(key, about) for key, about in found.items()), key=lambda upload: upload.name)

    async def get(self, collection: str, upload_id: str) -> Upload | None:
        about = await _done(lambda: _about(self._root / collection, upload_id))
        return _upload(upload_id, about) if about else None

    async def read(self, collection: str, upload_id: str) -> bytes | None:
        def read() -> bytes | None:
            about = _about(self._root / collection, upload_id)
            return (self._root / collection / about.file).read_bytes() if about else None

        return await _done(read)

    async def delete(self, collection: str, upload_id: str) -> bool:
        def deleted() -> bool:
            folder = self._root / collection
            if not folder.is_dir():
                return False
            with _alone(folder):
                if (about := _about(folder, upload_id)) is None:
                    return False
                (folder / f"{upload_id}.json").unlink()
                (folder / about.file).unlink(missing_ok=True)
                return True

        return await _done(deleted)


class _UploadFolder:
    """The uploads of a collection, each at the path of its name."""

    def __init__(self, folder: Path, collection: str) -> None:
        self._folder = folder
        self._collection = collection

    @property
    def path(self) -> str:
        return str(self._folder)

    def listing(self) -> Listing:
        return Listing(sorted(about.name for about in _all(self._folder).values()), [])

    def stamp(self, path: str) -> Stamp | None:
        """Of the file that says what the document is: it is written whenever anything of the document changes."""
        try:
            found = (self._folder / f"{upload_id(self._collection, path)}.json").stat()
        except OSError:
            return None
        return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)

    def read(self, path: str) -> Content:
        stamp = self.stamp(path)
        about = _about(self._folder, upload_id(self._collection, path))
        try:
            data = (self._folder / about.file).read_bytes() if about else None
        except OSError as error:
            raise Unreadable((error.strerror or "it cannot be read").lower()) from error
        if about is None or data is None:
            raise Unreadable("it does not exist any more")
        return Content(data, stamp if stamp == self.stamp(path) else None, about.meta)


def _put(folder: Path, key: str, new: NewUpload) -> Upload:
    """The bytes first, in a file of their own: a reader of the description finds those that belong to it."""
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        before = _about(folder, key)
        file = f"{key}.{hashlib.sha256(new.data).hexdigest()[:16]}"
        write_durably(folder / file, new.data)
        created = before.created_at if before else datetime.now(UTC)
        about = _About(name=new.name, file=file, size=len(new.data), created_at=created, meta=new.meta)
        write_durably(folder / f"{key}.json", msgspec.json.encode(about))
        if before is not None and before.file != file:
            (folder / before.file).unlink(missing_ok=True)
    return _upload(key, about)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One change of a folder at a time, in all processes: a second one must not remove the file of a first."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _all(folder: Path) -> dict[str, _About]:
    found = {path.stem: _about(folder, path.stem) for path in folder.glob("*.json")}
    return {key: about for key, about in found.items() if about is not None}


def _about(folder: Path, key: str) -> _About | None:
    if _ID.fullmatch(key) is None:
        return None
    try:
        return msgspec.json.decode((folder / f"{key}.json").read_bytes(), type=_About)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None


def _upload(key: str, about: _About) -> Upload:
    return Upload(key, about.name, about.size, about.created_at, about.meta)


async def _done(action: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(action)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull("no room is left for uploads") from error
        raise StoreUnavailable(f"uploads cannot be used: {error.strerror}") from error
