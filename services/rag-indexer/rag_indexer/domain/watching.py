"""Folders that are watched, so that their indexes follow them."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import msgspec

from rag_indexer.domain.builds import Builds, collection
from rag_indexer.domain.ports import Collections
from rag_indexer.domain.renewals import Renewals
from sage_contracts import index as wire
from sage_contracts.errors import InvalidRequest, StoreUnavailable

log = logging.getLogger(__name__)

PAUSE_SECONDS = 300.0


class Watcher(Protocol):
    def changes(self, path: str) -> AsyncGenerator[None]:
        """
        One for each burst of changes in the folder and what is below it, and one when it is there again after it was
        gone. Ends when it cannot be watched.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Watched:
    path: str
    task: asyncio.Task[bool]


class Watching:
    """`pause` is how many seconds pass before what could not be watched is tried again: each time reads its folder."""

    def __init__(
        self,
        collections: Collections,
        builds: Builds,
        renewals: Renewals,
        watcher: Watcher,
        *,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._collections = collections
        self._builds = builds
        self._renewals = renewals
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
        if (before := self._watched.get(name)) is not None and before.path == path:
            return
        task = asyncio.create_task(self._follow(name, path))
        watched = self._watched[name] = _Watched(path, task)
        task.add_done_callback(lambda _: self._forget(name, watched))
        if before is not None:
            await _stopped(before)

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
        return wire.Watching(status="stopped" if await self._stop(name) else "not_watching")

    async def forget(self, name: str) -> None:
        """It is deleted: what is built under its name later is another collection."""
        self._let_be.discard(name)
        await self._stop(name)

    def told(self, asked: str | None, status: wire.IndexStatus) -> wire.IndexStatus:
        """The status with what is to be said of watching; what another process has deleted is watched no more."""
        watched = collection(asked) in self._watched and status.status != "not_found"
        return msgspec.structs.replace(status, watching=watched)

    async def close(self) -> None:
        for name in list(self._watched):
            await self._stop(name)

    async def _follow(self, name: str, path: str) -> bool:
        """Until it is not to be followed any more: true; or cannot be: false."""
        fields = {"collection": name, "source_dir": path}
        log.info("watching", extra=fields)
        self._renewals.touch(name, path)  # for what changed between the last build and now
        async with aclosing(self._watcher.changes(path)) as changes:
            async for _ in changes:
                if not await self._is_followed(name, path):
                    log.info("not watching any more: it is deleted, or made of another folder", extra=fields)
                    return True
                self._renewals.touch(name, path)
        log.warning("not watching any more", extra=fields)
        return False

    async def _is_followed(self, name: str, path: str) -> bool:
        """Whoever has deleted it, here or in another process: a change must not bring it back."""
        try:
            return await self._builds.follows(name, path)
        except StoreUnavailable:
            return True

    def _forget(self, name: str, watched: _Watched) -> None:
        if self._watched.get(name) is watched:
            del self._watched[name]
        task = watched.task
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            fields = {"collection": name, "source_dir": watched.path}
            log.error("not watching any more", exc_info=error, extra=fields)
        if error is not None or not task.result():
            self._resting[name] = task.get_loop().time() + self._pause

    async def _stop(self, name: str) -> bool:
        """Whether it was watched."""
        if (watched := self._watched.get(name)) is None:
            return False
        await _stopped(watched)
        return True


async def _stopped(watched: _Watched) -> None:
    watched.task.cancel()
    await asyncio.wait([watched.task])
