"""Folders that are watched, so that their indexes follow them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from rag_indexer.domain.builds import Builds, collection
from rag_indexer.domain.ports import Collections
from sage_contracts import index as wire
from sage_contracts.errors import InvalidRequest

log = logging.getLogger(__name__)

PAUSE_SECONDS = 300.0


class Watcher(Protocol):
    def changes(self, path: str) -> AsyncIterator[None]:
        """
        One for each burst of changes in the folder and what is below it, and one when it is there again after it was
        gone. Ends when it cannot be watched.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Watched:
    path: str
    task: asyncio.Task[None]


class Watching:
    """`pause` is how many seconds pass before what could not be watched is tried again: each time reads its folder."""

    def __init__(
        self, collections: Collections, builds: Builds, watcher: Watcher, *, pause: float = PAUSE_SECONDS
    ) -> None:
        self._collections = collections
        self._builds = builds
        self._watcher = watcher
        self._pause = pause
        self._watched: dict[str, _Watched] = {}
        self._let_be: set[str] = set()
        """Collections that somebody does not want to be watched any more."""
        self._resting: dict[str, float] = {}
        """Until when a collection that could not be watched is left alone, in the loop's time."""

    async def begin(self, asked: str | None) -> None:
        """Raises InvalidRequest for a collection that is made of no folder."""
        name = collection(asked)
        path = await self._builds.folder(name)
        if not path:
            raise InvalidRequest(f"the collection {name} is made of no folder that could be watched", param="watch")
        self._let_be.discard(name)
        if (before := self._watched.get(name)) is not None:
            if before.path == path:
                return
            await _stopped(before)
        task = asyncio.create_task(self._follow(name, path))
        watched = self._watched[name] = _Watched(path, task)
        task.add_done_callback(lambda _: self._forget(name, watched))

    async def begin_all(self) -> None:
        """Every collection that is made of a folder and was not let be since; asked for again, those that are new."""
        found = await self._collections.names()
        self._let_be.intersection_update(found)
        now = asyncio.get_running_loop().time()
        for name in found:
            if name not in self._let_be and self._resting.get(name, now) <= now and await self._builds.folder(name):
                await self.begin(name)

    async def end(self, asked: str | None) -> wire.Watching:
        name = collection(asked)
        self._let_be.add(name)
        if (watched := self._watched.get(name)) is None:
            return wire.Watching(status="not_watching")
        await _stopped(watched)
        return wire.Watching(status="stopped")

    def told(self, asked: str | None, status: wire.IndexStatus) -> wire.IndexStatus:
        """The status with what is to be said of watching."""
        return msgspec.structs.replace(status, watching=collection(asked) in self._watched)

    async def close(self) -> None:
        for name in list(self._watched):
            await self.end(name)

    async def _follow(self, name: str, path: str) -> None:
        log.info("watching", extra={"collection": name, "source_dir": path})
        self._builds.touch(name)  # for what changed between the last build and now
        async for _ in self._watcher.changes(path):
            self._builds.touch(name)
        log.warning("not watching any more", extra={"collection": name, "source_dir": path})

    def _forget(self, name: str, watched: _Watched) -> None:
        if self._watched.get(name) is watched:
            del self._watched[name]
        if not watched.task.cancelled():
            self._resting[name] = watched.task.get_loop().time() + self._pause


async def _stopped(watched: _Watched) -> None:
    watched.task.cancel()
    await asyncio.wait([watched.task])
