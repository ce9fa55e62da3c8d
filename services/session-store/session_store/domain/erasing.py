"""What sessions that are gone have left elsewhere: erased at once where that is possible, else until it is."""

import logging
from contextlib import suppress

from sage_contracts.errors import SageError, StoreFull
from session_store.domain.memories import Memories
from session_store.domain.ports import OwedErasures
from session_store.domain.records import SessionKey

log = logging.getLogger(__name__)

SWEPT_AT_ONCE = 100


class Erasing:
    """Not `needed`, all that is remembered lies in the sessions themselves."""

    def __init__(self, memories: Memories, owed: OwedErasures, *, needed: bool) -> None:
        self._memories = memories
        self._owed = owed
        self._needed = needed

    async def owe(self, key: SessionKey) -> None:
        """
        Told before the session goes, so that nothing is forgotten whenever we stop.

        A full Redis takes no note of it: the session must go all the same, or nobody could make room.
        """
        if self._needed:
            with suppress(StoreFull):
                await self._owed.add([key])

    async def erased(self, key: SessionKey) -> dict[str, int]:
        """How much there was, by kind; nothing where it cannot be erased now: that is done later."""
        if not self._needed:
            return {}
        try:
            removed = await self._memories.erase(key)
            await self._owed.remove([key])
        except SageError as error:
            log.warning("memory not erased yet", extra={"session": key.session_id, "error": error.code})
            return {}
        return removed

    async def sweep(self) -> None:
        """Erase some of what is owed."""
        if not self._needed:
            return
        try:
            for key in await self._owed.some(SWEPT_AT_ONCE):
                await self.erased(key)
        except SageError as error:
            log.info("nothing swept", extra={"error": error.code})
