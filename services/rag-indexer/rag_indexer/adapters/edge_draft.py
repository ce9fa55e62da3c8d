"""The next state of an index in Qdrant Edge, made in a folder of its own and kept through a crash."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from qdrant_edge import EdgeShard

from rag_indexer.adapters import edge_shard, edge_version
from rag_indexer.adapters.data_folder import DataFolder, Pointer, sync_files
from rag_indexer.adapters.edge_journal import Header, Journal
from rag_indexer.adapters.edge_shard import BATCH, FLUSH_EVERY, attempted
from rag_indexer.adapters.edge_version import SHARD, Stored, Version
from rag_indexer.adapters.folder_copy import copy_folder
from rag_indexer.domain.documents import Entry
from rag_indexer.domain.manifest import FileState, Manifest, chunks
from rag_indexer.domain.ports import Made, Record
from sage_contracts.errors import StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

FLUSH_SECONDS = 1.0
"""How much work, at most about, a crash costs."""

Serve = Callable[[Version, str | None], None]
"""Serve the version from now on, and remove the one that is named."""


DEAD_PASSAGES = 5_000
"""Removed passages still lie in a changed shard: with more of them than this, and than living ones, it is renewed."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An open draft. `written` is how many passages were ever written to its shard, the removed ones too."""

    folder: Path
    shard: EdgeShard
    files: dict[str, FileState]
    written: int


def begun(data: DataFolder, header: Header) -> Begun:
    """Blocks. An unfinished draft of the same kind is gone on with; every other one is removed."""
    found = None
    for folder in data.others():
        if folder.name == header.base:  # it is read still, though the pointer names it no more
            continue
        if found is None and Journal(folder).header() == header:
            found = _resumed(data, folder, header)
            if found is not None:
                continue
        shutil.rmtree(folder, ignore_errors=True)
    return found or new(data, header)


def new(data: DataFolder, header: Header) -> Begun:
    """Blocks. Beside every unfinished draft there may be."""
    folder = data.new()
    base = _base(data, header)
    files = dict(base.files) if base else {}
    living = chunks(files)
    written = base.written if base else 0
    if header.base is None or written - living > max(living, DEAD_PASSAGES):
        shard = edge_shard.created(folder / SHARD, header.dimensions)
        if header.base is not None:
            edge_shard.carry(data.folder(header.base) / SHARD, shard)
            written = living
    else:
        # A served version is flushed and never written to: its files can be copied while it is read.
        copy_folder(data.folder(header.base) / SHARD, folder / SHARD)
        shard = EdgeShard.load(str(folder / SHARD))
    Journal(folder).begin(header)
    return Begun(folder, shard, files, written)


def _resumed(data: DataFolder, folder: Path, header: Header) -> Begun | None:
    base = _base(data, header)
    files = dict(base.files) if base else {}
    for path, state in Journal(folder).changes().items():
        if state is None:
            files.pop(path, None)
        else:
            files[path] = state
    try:
        shard = attempted(lambda: EdgeShard.load(str(folder / SHARD)))
        # Points that the journal does not know of were being written when the process died.
        for path in edge_shard.reconcile(shard, files):
            del files[path]
    except StoreUnavailable as error:
        log.warning("draft not resumed", extra={"folder": str(folder), "reason": error.message})
        return None
    log.info("draft resumed", extra={"folder": folder.name, "files": len(files)})
    return Begun(folder, shard, files, (base.written if base else 0) + chunks(files))


def _base(data: DataFolder, header: Header) -> Stored | None:
    if header.base is None:
        return None
    about = edge_version.stored(data.folder(header.base))
    if about is None:
        raise StoreUnavailable("the index went away while it was being changed")
    return about


class EdgeDraft:
    """Its work is done by one thread, in order: a discard after a cancelled step waits until that step has ended."""

    def __init__(self, begun: Begun, header: Header, *, data: DataFolder, serve: Serve) -> None:
        self._folder = begun.folder
        self._shard = begun.shard
        self._files = begun.files
        self._written = begun.written
        self._header = header
        self._data = data
        self._serve = serve
        self._journal = Journal(begun.folder)
        self._unwritten: dict[str, FileState | None] = {}
        self._batches = 0
        self._flushed = time.monotonic()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draft")
        self._about: Stored | None = None
        """What it is published as, once that was begun."""
        self._dropped: str | None = None
        """The name of the version that is not needed any more once this one is served."""
        self._is_served = False

    @property
    def files(self) -> Manifest:
        return self._files

    async def entries(self, path: str) -> list[Entry]:
        return await self._do(lambda: edge_shard.entries(self._shard, path))

    async def put(self, made: Sequence[Made]) -> None:
        again = [one.path for one in made if one.path in self._files]
        await self._do(lambda: edge_shard.remove(self._shard, again))
        entries = [entry for one in made for entry in one.entries]
        for start in range(0, len(entries), BATCH):
            await self._do(partial(edge_shard.add, self._shard, entries[start : start + BATCH]))
            self._batches += 1
        self._written += len(entries)
        self._tell({one.path: one.state for one in made})
        await self._flush_if_due()

    async def remove(self, paths: Collection[str]) -> None:
        known = [path for path in paths if path in self._files]
        await self._do(lambda: edge_shard.remove(self._shard, known))
        self._tell(dict.fromkeys(known))

    async def publish(self, record: Record) -> None:
        self._about = Stored(record=record, files=self._files, written=self._written)
        await self._do(partial(self._written_whole, self._about))
        self._serve_it(self._about)

    async def discard(self) -> None:
        """Nothing is left of it, unless it has been published after all."""
        await self._end(lambda: edge_version.closed(self._shard, self._folder))

    async def leave(self) -> None:
        def left() -> None:
            try:
                self._checkpoint()
            finally:
                self._shard.close()

        await self._end(left)

    async def _end(self, action: Callable[[], None]) -> None:
        """A publish that broke off half-way may have moved the pointer already: then this version is served."""
        if self._is_served:
            return

        def ended() -> bool:
            if not self._is_pointed_to():
                action()
                return False
            return True

        try:
            if await self._do(ended) and self._about is not None:
                self._serve_it(self._about)
        finally:
            self._thread.shutdown(wait=False)

    def _written_whole(self, about: Stored) -> None:
        self._shard.flush()
        # What was copied and not touched since, the shard knows nothing of.
        sync_files(self._folder)
        edge_version.store(self._folder, about)
        self._move_pointer()
        self._journal.end()

    def _serve_it(self, about: Stored) -> None:
        self._is_served = True
        self._thread.shutdown(wait=False)
        self._serve(Version(self._folder, self._shard, about), self._dropped)

    def _move_pointer(self) -> None:
        before = self._data.pointer()
        self._dropped = before.earlier if self._header.fresh else before.served
        kept = before.served if self._header.fresh else before.earlier
        self._data.point(Pointer(self._folder.name, kept))

    def _is_pointed_to(self) -> bool:
        return self._data.pointer().served == self._folder.name

    def _tell(self, changes: dict[str, FileState | None]) -> None:
        self._unwritten |= changes
        for path, state in changes.items():
            if state is None:
                self._files.pop(path, None)
            else:
                self._files[path] = state

    async def _flush_if_due(self) -> None:
        if self._batches >= FLUSH_EVERY or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            await self._do(self._checkpoint)
            self._batches, self._flushed = 0, time.monotonic()

    def _checkpoint(self) -> None:
        self._shard.flush()
        changes, self._unwritten = self._unwritten, {}
        self._journal.write(changes)

    async def _do(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, attempted, action)
