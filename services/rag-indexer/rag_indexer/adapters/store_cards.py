"""What is said of vector stores, on disk: `<root>/<collection>.json`."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from rag_indexer.adapters.data_folder import write_durably
from rag_indexer.domain.vector_stores import Card
from sage_contracts.errors import StoreFull, StoreUnavailable

T = TypeVar("T")


class StoreCards:
    def __init__(self, root: Path) -> None:
        self._root = root

    async def all(self) -> list[Card]:
        return await _done(lambda: [card for path in self._root.glob("*.json") if (card := _read(path)) is not None])

    async def get(self, collection: str) -> Card | None:
        return await _done(lambda: _read(self._path(collection)))

    async def put(self, card: Card) -> None:
        def written() -> None:
            self._root.mkdir(parents=True, exist_ok=True)
            write_durably(self._path(card.collection), msgspec.json.encode(card))

        await _done(written)

    async def delete(self, collection: str) -> bool:
        def deleted() -> bool:
            existed = self._path(collection).exists()
            self._path(collection).unlink(missing_ok=True)
            return existed

        return await _done(deleted)

    def _path(self, collection: str) -> Path:
        return self._root / f"{collection}.json"


def _read(path: Path) -> Card | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Card)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None


async def _done(action: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(action)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull("no room is left for vector stores") from error
        raise StoreUnavailable(f"vector stores cannot be used: {error.strerror}") from error
