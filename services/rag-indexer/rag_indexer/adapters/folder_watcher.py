"""Changes in a folder, as the kernel tells of them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import awatch

log = logging.getLogger(__name__)

DEBOUNCE_MILLISECONDS = 1_000
"""A burst of changes is one: saving a file often takes several, a checkout thousands."""
QUIET_MILLISECONDS = 200
LOOK_MILLISECONDS = 5_000
"""How often it is looked whether the folder is still there: nothing tells of that."""


class FolderWatcher:
    async def changes(self, path: str) -> AsyncIterator[None]:
        """Without a filter: what matters is decided by whoever lists the folder."""
        folder = Path(path)
        if not await asyncio.to_thread(folder.is_dir):
            return
        try:
            async for changes in awatch(
                folder,
                watch_filter=None,
                debounce=DEBOUNCE_MILLISECONDS,
                step=QUIET_MILLISECONDS,
                rust_timeout=LOOK_MILLISECONDS,
                yield_on_timeout=True,
                recursive=True,
                ignore_permission_denied=True,
            ):
                if changes:
                    yield
                if not await asyncio.to_thread(folder.is_dir):
                    return
        except OSError as error:  # the kernel watches no more folders for this user
            log.warning("folder not watched", extra={"source_dir": path, "reason": str(error)})
