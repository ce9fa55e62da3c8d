"""Changes in a folder, as the kernel tells of them."""

import logging
from collections.abc import AsyncIterator

from watchfiles import awatch

log = logging.getLogger(__name__)

DEBOUNCE_MILLISECONDS = 1_000
"""A burst of changes is one: saving a file often takes several, a checkout thousands."""
QUIET_MILLISECONDS = 200


class FolderWatcher:
    async def changes(self, path: str) -> AsyncIterator[None]:
        """Without a filter: what matters is decided by whoever lists the folder."""
        try:
            async for _ in awatch(
                path,
                watch_filter=None,
                debounce=DEBOUNCE_MILLISECONDS,
                step=QUIET_MILLISECONDS,
                recursive=True,
                ignore_permission_denied=True,
            ):
                yield
        except OSError as error:  # the folder is gone, or the kernel watches no more folders for this user
            log.warning("folder not watched", extra={"source_dir": path, "reason": str(error)})
