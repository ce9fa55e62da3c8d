"""Which engines were lately sent prompts that begin alike."""

from collections import OrderedDict
from hashlib import blake2b

REMEMBERED = 10_000
"""Prefixes; engines forget theirs too."""


class Homes:
    """What was not asked for longest is forgotten first."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._engines: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def of(self, prefix: bytes) -> tuple[str, ...]:
        return self._engines.get(_key(prefix), ())

    def sent(self, prefix: bytes, engine_id: str) -> None:
        key = _key(prefix)
        known = self._engines.get(key, ())
        self._engines[key] = known if engine_id in known else (*known, engine_id)
        self._engines.move_to_end(key)
        if len(self._engines) > self._remembered:
            self._engines.popitem(last=False)


def _key(prefix: bytes) -> bytes:
    return blake2b(prefix, digest_size=16).digest()
