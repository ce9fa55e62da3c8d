"""Changes in a folder, as the kernel tells of them."""

import asyncio
import logging
import stat
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

log = logging.getLogger(__name__)

DEBOUNCE_MILLISECONDS = 1_000
"""A burst of changes is one: saving a file often takes several, a checkout thousands."""
QUIET_MILLISECONDS = 200
LOOKS_AT_ONCE = 32
LOOK_SECONDS = 5.0
"""How often it is looked whether the folder is there: nothing tells of that."""


class FolderWatcher:
    def __init__(self, look_seconds: float = LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._threads = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="watch")
        """Of its own: a folder on a share may hang."""

    async def changes(self, path: str) -> AsyncGenerator[None]:
        is_back = False
        try:
            while True:
                async with aclosing(self._until_gone(Path(path), is_back=is_back)) as seen:
                    async for _ in seen:
                        yield
                is_back = True
                await asyncio.sleep(self._look_seconds)
        except OSError as error:  # the kernel watches no more folders for this user
            log.warning("folder not watched", extra={"source_dir": path, "reason": str(error)})

    async def _until_gone(self, folder: Path, *, is_back: bool) -> AsyncGenerator[None]:
        """Without a filter: what matters is decided by whoever lists the folder."""
        if (begun := await self._identity(folder)) is None:
            return
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
                if await self._identity(folder) != begun:
                    log.warning("a watched folder is gone", extra={"source_dir": str(folder)})
                    return
                if changes or is_back:
                    is_back = False
                    yield

    async def _identity(self, folder: Path) -> tuple[int, int] | None:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _identity, folder)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Another folder that has taken its place has another one; None when there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
