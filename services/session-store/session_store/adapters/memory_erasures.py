"""Which sessions' memories are still to be erased elsewhere, in this process: for tests."""

from collections.abc import Sequence

from session_store.domain.records import SessionKey


class MemoryErasures:
    """Implements OwedErasures."""

    def __init__(self) -> None:
        self._keys: dict[SessionKey, None] = {}

    async def add(self, keys: Sequence[SessionKey]) -> None:
        self._keys |= dict.fromkeys(keys)

    async def some(self, count: int) -> list[SessionKey]:
        return list(self._keys)[:count]

    async def remove(self, keys: Sequence[SessionKey]) -> None:
        for key in keys:
            self._keys.pop(key, None)
