"""Passages in Qdrant Edge, in this process: a folder a version, and a pointer to the one that is served."""

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from qdrant_edge import EdgeShard

from rag_indexer.adapters import edge_shard
from rag_indexer.adapters.data_folder import DataFolder, locked, write_durably
from rag_indexer.adapters.edge_shard import BATCH, attempted
from rag_indexer.domain.documents import Entry, Filters, StoredPassage, Vectors, is_passage_id
from rag_indexer.domain.ports import Draft, Hits, Record
from sage_contracts.errors import StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

_FLUSH_EVERY = 32
"""Batches between flushes: a single flush at the end would hold the interpreter's lock for a long moment."""


class _Stored(Struct, frozen=True, kw_only=True):
    """What stands beside a version's shard: the record, and the hash of each file."""

    record: Record
    files: dict[str, str]


class _Version:
    """An open shard and who is reading it. Counted on the event loop alone, so no lock is needed."""

    def __init__(self, folder: Path, shard: EdgeShard, stored: _Stored) -> None:
        self.folder = folder
        self.shard = shard
        self.stored = stored
        self._readers = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[EdgeShard]:
        self._readers += 1
        self._idle.clear()
        try:
            yield self.shard
        finally:
            self._readers -= 1
            if not self._readers:
                self._idle.set()

    async def close(self, *, remove: bool) -> None:
        """Once the last reader has left. Nobody is served by it any more: a failure is logged and no more."""
        await self._idle.wait()
        try:
            await asyncio.to_thread(attempted, lambda: _closed(self.shard, self.folder if remove else None))
        except StoreUnavailable:
            log.exception("version not closed", extra={"folder": str(self.folder)})


@asynccontextmanager
async def edge_passages(root: Path, *, collection: str) -> AsyncGenerator["EdgePassages"]:
    """The store in `root`, which nobody else may use meanwhile. Raises DataFolderInUse."""
    with locked(root):
        data = DataFolder(root, collection)
        left = await asyncio.to_thread(data.sweep)
        if left:
            log.warning("leftovers removed", extra={"versions": left})
        passages = EdgePassages(data, await asyncio.to_thread(_opened, data.current()))
        try:
            yield passages
        finally:
            await passages.close()


class EdgePassages:
    def __init__(self, data: DataFolder, opened: "_Version | None") -> None:
        self._data = data
        self._served = opened

    async def record(self) -> Record | None:
        return self._served.stored.record if self._served else None

    async def files(self) -> dict[str, str]:
        return dict(self._served.stored.files) if self._served else {}

    async def draft(self, dimensions: int) -> Draft:
        def begun() -> tuple[Path, EdgeShard]:
            folder = self._data.new()
            return folder, edge_shard.created(folder / "shard", dimensions)

        folder, shard = await asyncio.to_thread(attempted, begun)
        return EdgeDraft(self, self._data, folder, shard)

    async def search(self, query: Vectors, *, limit: int, chosen: Filters) -> Hits:
        if self._served is None:
            return Hits([], [])
        async with self._served.read() as shard:
            return await asyncio.to_thread(
                attempted, lambda: edge_shard.search(shard, query, limit=limit, chosen=chosen)
            )

    async def passage(self, passage_id: str) -> StoredPassage | None:
        if self._served is None or not is_passage_id(passage_id):
            return None
        async with self._served.read() as shard:
            return await asyncio.to_thread(attempted, lambda: edge_shard.passage(shard, passage_id))

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        if self._served is None:
            return {}
        async with self._served.read() as shard:
            return await asyncio.to_thread(attempted, lambda: edge_shard.vectors(shard, ids))

    async def delete(self) -> bool:
        if (old := self._served) is None:
            return False
        await asyncio.to_thread(attempted, lambda: self._data.point_to(None))
        self._served = None
        await old.close(remove=True)
        return True

    async def close(self) -> None:
        if self._served is not None:
            old, self._served = self._served, None
            await old.close(remove=False)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[EdgeShard | None]:
        """The served shard, which stays open while it is read."""
        if self._served is None:
            yield None
            return
        async with self._served.read() as shard:
            yield shard

    def serve(self, version: _Version) -> _Version | None:
        """From now on; the version before is the caller's to close."""
        old, self._served = self._served, version
        return old


class EdgeDraft:
    """Its work is done by one thread, in order: a discard after a cancelled step waits until that step has ended."""

    def __init__(self, passages: EdgePassages, data: DataFolder, folder: Path, shard: EdgeShard) -> None:
        self._passages = passages
        self._data = data
        self._folder = folder
        self._shard = shard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draft")
        self._batches = 0
        self._served = False

    async def carry(self, paths: Collection[str]) -> int:
        if not paths:
            return 0
        wanted = frozenset(paths)
        async with self._passages.reading() as source:
            if source is None:
                raise StoreUnavailable("the index went away while it was being rebuilt")
            return await self._do(lambda: edge_shard.carry(source, self._shard, wanted))

    async def add(self, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries), BATCH):
            await self._do(partial(edge_shard.add, self._shard, entries[start : start + BATCH]))
            self._batches += 1
            if self._batches % _FLUSH_EVERY == 0:
                await self._do(self._shard.flush)

    async def publish(self, record: Record, files: Mapping[str, str]) -> None:
        stored = _Stored(record=record, files=dict(files))

        def written() -> None:
            self._shard.flush()
            write_durably(self._folder / "index.json", msgspec.json.encode(stored))
            self._data.point_to(self._folder)

        await self._do(written)
        old = self._passages.serve(_Version(self._folder, self._shard, stored))
        self._served = True
        self._thread.shutdown(wait=False)
        if old is not None:
            await old.close(remove=True)

    async def discard(self) -> None:
        """
        Nothing is left of it, unless it has been published after all.

        A publish that broke off half-way may have moved the pointer already: then the next start serves this version.
        """
        if self._served:
            return

        def dropped() -> None:
            _closed(self._shard, None if self._data.current() == self._folder else self._folder)

        await self._do(dropped)
        self._thread.shutdown(wait=False)

    async def _do(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, attempted, action)


def _opened(folder: Path | None) -> _Version | None:
    """An index that cannot be opened is as none, but stays on the disk until another one takes its place."""
    if folder is None:
        return None
    try:
        stored = msgspec.json.decode((folder / "index.json").read_bytes(), type=_Stored)
        return _Version(folder, attempted(lambda: EdgeShard.load(str(folder / "shard"))), stored)
    except (OSError, msgspec.MsgspecError, StoreUnavailable) as error:
        log.exception("index not opened", extra={"folder": str(folder), "reason": str(error)})
        return None


def _closed(shard: EdgeShard, folder: Path | None) -> None:
    shard.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
