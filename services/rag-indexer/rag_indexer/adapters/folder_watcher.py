"""Changes in a folder, as the kernel tells of them."""

import asyncio
import logging
import os
import stat
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

from rag_indexer.adapters.folder import is_folder

log = logging.getLogger(__name__)

DEBOUNCE_MILLISECONDS = 1_000
"""A burst of changes is one: saving a file often takes several, a checkout thousands."""
QUIET_MILLISECONDS = 200
LOOK_SECONDS = 5.0
"""How often it is looked whether the folder is there: nothing tells of that."""


def walked(folder: Path) -> None:
    """
    Look into every folder below, also where links lead, as watchfiles does when it begins. Blocks.

    It does so under the interpreter's lock: a folder that hangs would hold up the whole process, and not this thread.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            found = place.stat()
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(place) as entries:
                waiting += [Path(entry.path) for entry in entries if is_folder(entry)]
        except OSError:
            continue


class FolderWatcher:
    """`walk` returns once all of a folder has answered."""

    def __init__(self, look_seconds: float = LOOK_SECONDS, walk: Callable[[Path], None] = walked) -> None:
        self._look_seconds = look_seconds
        self._walk = walk

    async def changes(self, path: str) -> AsyncGenerator[None]:
        threads = ThreadPoolExecutor(1, thread_name_prefix="watch")  # its own: a folder on a share may hang
        is_back = False
        try:
            while True:
                async with aclosing(self._until_gone(Path(path), threads, is_back=is_back)) as seen:
                    async for _ in seen:
                        yield
                is_back = True
                await asyncio.sleep(self._look_seconds)
        except OSError as error:  # the kernel watches no more folders for this user
            log.warning("folder not watched", extra={"source_dir": path, "reason": str(error)})
        finally:
            threads.shutdown(wait=False)

    async def _until_gone(self, folder: Path, threads: ThreadPoolExecutor, *, is_back: bool) -> AsyncGenerator[None]:
        """Without a filter: what matters is decided by whoever lists the folder."""
        loop = asyncio.get_running_loop()
        if (begun := await loop.run_in_executor(threads, _identity, folder)) is None:
            return
        await loop.run_in_executor(threads, self._walk, folder)
        watched = awatch(
            folder,
            watch_filter=None,
            debounce=DEBOUNCE_MILLISECONDS,
            step=QUIET_MILLISECONDS,
            rust_timeout=int(1_000 * self._look_seconds),
            yield_on_timeout=True,
            recursive=True,
            ignore_permission_denied=True,
        )
        async with aclosing(watched):
            async for changes in watched:
                if await loop.run_in_executor(threads, _identity, folder) != begun:
                    log.warning("a watched folder is gone", extra={"source_dir": str(folder)})
                    return
                if changes or is_back:
                    is_back = False
                    yield


def _identity(folder: Path) -> tuple[int, int] | None:
    """Another folder that has taken its place has another one; None when there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
