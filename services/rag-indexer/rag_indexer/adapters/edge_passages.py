"""Passages in Qdrant Edge, in this process: a folder a version, and a pointer to the one that is served."""

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from rag_indexer.adapters import data_folder, edge_draft, edge_shard, edge_version
from rag_indexer.adapters.data_folder import DataFolder, Pointer, locked
from rag_indexer.adapters.edge_draft import Begun, EdgeDraft
from rag_indexer.adapters.edge_journal import Header, Journal
from rag_indexer.adapters.edge_shard import attempted
from rag_indexer.adapters.edge_version import Version
from rag_indexer.domain.documents import Filters, StoredPassage, Vectors, is_passage_id
from rag_indexer.domain.manifest import Manifest
from rag_indexer.domain.ports import Draft, Hits, Record, no_build
from sage_contracts.errors import BuildRunning, StoreUnavailable
from sage_contracts.index import Job

log = logging.getLogger(__name__)

MAX_UNUSED = 1_000


@asynccontextmanager
async def edge_collections(root: Path) -> AsyncGenerator["EdgeCollections"]:
    """The collections in `root`, which nobody else may use meanwhile. Raises DataFolderInUse."""
    with locked(root):
        found = EdgeCollections(root)
        try:
            yield found
        finally:
            await found.close()


class EdgeCollections:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, EdgePassages] = {}
        self._opening = asyncio.Lock()
        self._held: set[str] = set()

    async def names(self) -> list[str]:
        return await asyncio.to_thread(data_folder.collections, self._root)

    async def open(self, name: str) -> "EdgePassages":
        async with self._opening:
            if name not in self._open:
                self._forget_unused()
                data = DataFolder(self._root, name)
                self._open[name] = EdgePassages(data, await asyncio.to_thread(_served, data))
            return self._open[name]

    @asynccontextmanager
    async def hold(
        self,
        name: str,
        job: Callable[[], Job | None] = no_build,  # noqa: ARG002 - there is no other process to be told
    ) -> AsyncGenerator[asyncio.Event]:
        """The data folder has one process, so what is held in it is held."""
        if name in self._held:
            raise BuildRunning(f"the collection {name} is being changed")
        self._held.add(name)
        try:
            yield asyncio.Event()
        finally:
            self._held.discard(name)

    async def holder(self, name: str) -> None:
        """The data folder has one process."""

    def _forget_unused(self) -> None:
        """Names without an index that somebody has asked for, once there are many: they cost nothing to open again."""
        if len(self._open) >= MAX_UNUSED:
            for name in [name for name, one in self._open.items() if one.is_empty and name not in self._held]:
                del self._open[name]

    async def close(self) -> None:
        for passages in list(self._open.values()):
            await passages.close()


class EdgePassages:
    def __init__(self, data: DataFolder, opened: Version | None) -> None:
        self._data = data
        self._served = opened
        self._earlier: tuple[str | None, Record | None] = None, None
        """Which version it is, and its record: reading it takes the whole manifest along."""
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def is_empty(self) -> bool:
        return self._served is None

    async def record(self) -> Record | None:
        return self._served.stored.record if self._served else None

    async def manifest(self) -> Manifest:
        return dict(self._served.stored.files) if self._served else {}

    async def note(self, states: Manifest) -> None:
        if not states or (version := self._served) is None:
            return
        about = msgspec.structs.replace(version.stored, files={**version.stored.files, **states})
        await asyncio.to_thread(attempted, lambda: edge_version.store(version.folder, about))
        version.stored = about

    async def unfinished(self, fingerprint: str) -> bool:
        def headers() -> list[Header | None]:
            return [Journal(folder).header() for folder in self._data.others()]

        found = await asyncio.to_thread(headers)
        return any(header and header.fresh and header.fingerprint == fingerprint for header in found)

    async def draft(self, *, fresh: bool, fingerprint: str, dimensions: int) -> Draft:
        base = self._served.folder.name if self._served and not fresh else None
        header = Header(fresh=fresh, fingerprint=fingerprint, dimensions=dimensions, base=base)
        return await self._draft(edge_draft.begun, header)

    async def amendment(self) -> Draft:
        if (version := self._served) is None:
            raise StoreUnavailable("there is no index that could be changed")
        record = version.stored.record
        header = Header(
            fresh=False, fingerprint=record.fingerprint, dimensions=record.dimensions, base=version.folder.name
        )
        return await self._draft(edge_draft.new, header)

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

    async def earlier(self) -> Record | None:
        def read() -> tuple[str | None, Record | None]:
            name = self._data.pointer().earlier
            if name == self._earlier[0]:
                return self._earlier
            about = edge_version.stored(self._data.folder(name)) if name else None
            return name, about.record if about else None

        self._earlier = await asyncio.to_thread(read)
        return self._earlier[1]

    async def rollback(self) -> Record | None:
        pointer = await asyncio.to_thread(self._data.pointer)
        version = await asyncio.to_thread(_opened, self._data, pointer.earlier)
        if version is None:
            return None
        turned = Pointer(served=pointer.earlier, earlier=pointer.served)
        await asyncio.to_thread(attempted, lambda: self._data.point(turned))
        self._serve(version, None)
        return version.stored.record

    async def delete(self) -> bool:
        pointer = await asyncio.to_thread(self._data.pointer)
        await asyncio.to_thread(attempted, lambda: self._data.point(Pointer()))
        self._serve(None, None)
        self._earlier = None, None
        await self.settled()

        def swept() -> None:
            for folder in self._data.others():
                shutil.rmtree(folder, ignore_errors=True)

        await asyncio.to_thread(swept)
        return pointer.served is not None

    async def close(self) -> None:
        if self._served is not None:
            self._serve(None, None)
        await self.settled()

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Version | None]:
        """The served version, which stays open while it is read."""
        if self._served is None:
            yield None
            return
        async with self._served.read():
            yield self._served

    async def settled(self) -> None:
        """Return once versions that are served no more are closed, and removed if they were to be."""
        while self._leaving:
            await asyncio.wait(self._leaving)

    async def _draft(self, begin: Callable[[DataFolder, Header], Begun], header: Header) -> EdgeDraft:
        begun = await asyncio.to_thread(attempted, lambda: begin(self._data, header))
        return EdgeDraft(begun, header, data=self._data, serve=self._serve)

    def _serve(self, version: Version | None, dropped: str | None) -> None:
        """The pointer has moved: serve `version` from now on. The folder `dropped` goes once its last reader left."""
        old, self._served = self._served, version
        task = asyncio.create_task(self._left(old, dropped))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _left(self, old: Version | None, dropped: str | None) -> None:
        if old is not None:
            await old.close(remove=False)
        if dropped is not None:
            await asyncio.to_thread(shutil.rmtree, self._data.folder(dropped), ignore_errors=True)


def _served(data: DataFolder) -> Version | None:
    """What crashes have left is removed first, but for a draft that can be gone on with."""
    left = [folder for folder in data.others() if Journal(folder).header() is None]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    if left:
        log.warning("leftovers removed", extra={"versions": [folder.name for folder in left]})
    return _opened(data, data.pointer().served)


def _opened(data: DataFolder, name: str | None) -> Version | None:
    return edge_version.opened(data.folder(name)) if name else None
