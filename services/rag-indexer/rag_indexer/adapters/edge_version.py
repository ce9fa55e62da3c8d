"""One version of an index in Qdrant Edge: its shard, what stands beside it, and who is reading it."""

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from qdrant_edge import EdgeShard

from rag_indexer.adapters.data_folder import write_durably
from rag_indexer.adapters.edge_shard import attempted
from rag_indexer.domain.manifest import FileState
from rag_indexer.domain.ports import Record
from sage_contracts.errors import StoreUnavailable

log = logging.getLogger(__name__)

SHARD = "shard"
_STORED = "index.json"


class Stored(Struct, frozen=True, kw_only=True):
    """What stands beside a version's shard."""

    record: Record
    files: dict[str, FileState]
    written: int = 0
    """How many passages were ever written to the shard, those removed since too."""


def stored(folder: Path) -> Stored | None:
    """None when it cannot be read."""
    try:
        return msgspec.json.decode((folder / _STORED).read_bytes(), type=Stored)
    except (OSError, msgspec.MsgspecError):
        return None


def store(folder: Path, about: Stored) -> None:
    write_durably(folder / _STORED, msgspec.json.encode(about))


class Version:
    """An open shard and who is reading it. Counted on the event loop alone, so no lock is needed."""

    def __init__(self, folder: Path, shard: EdgeShard, about: Stored) -> None:
        self.folder = folder
        self.shard = shard
        self.stored = about
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
            await asyncio.to_thread(attempted, lambda: closed(self.shard, self.folder if remove else None))
        except StoreUnavailable:
            log.exception("version not closed", extra={"folder": str(self.folder)})


def opened(folder: Path | None) -> Version | None:
    """An index that cannot be opened is as none, but stays on the disk until another one takes its place."""
    if folder is None:
        return None
    try:
        about = msgspec.json.decode((folder / _STORED).read_bytes(), type=Stored)
        return Version(folder, attempted(lambda: EdgeShard.load(str(folder / SHARD))), about)
    except (OSError, msgspec.MsgspecError, StoreUnavailable) as error:
        log.exception("index not opened", extra={"folder": str(folder), "reason": str(error)})
        return None


def closed(shard: EdgeShard, folder: Path | None) -> None:
    """And its folder removed, if one is given."""
    shard.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
