"""Models' tokenizers from `tokenizer.json` files, read at first use."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

LIBRARY = "tokenizers"
COUNTS_KEPT = 4_096
"""Texts a model whose count is remembered: a history is counted again with every turn."""

CACHED_CHARS = 4_000


class TokenizerFiles:
    """Implements Tokenizers. `*` is the tokenizer of every model that has none of its own."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = dict(paths)
        self._counters: dict[str, Callable[[str], int] | None] = {}
        self._loading = asyncio.Lock()

    def models(self) -> list[str]:
        return sorted(self._paths)

    async def counter(self, model: str | None) -> Callable[[str], int] | None:
        name = model if model in self._paths else "*"
        if name is None or name not in self._paths:
            return None
        async with self._loading:
            if name not in self._counters:
                self._counters[name] = await asyncio.to_thread(_loaded, self._paths[name])
            return self._counters[name]


def _loaded(path: Path) -> Callable[[str], int] | None:
    """A file that cannot be read is told once: counts are estimated then."""
    try:
        # Only here, because most of us have no such file, and the library takes memory.
        tokenizer: Any = import_module(LIBRARY).Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        log.warning("tokenizer not read", extra={"path": str(path), "error": str(error)})
        return None
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def counted(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    remembered = lru_cache(maxsize=COUNTS_KEPT)(counted)
    return lambda text: remembered(text) if len(text) <= CACHED_CHARS else counted(text)
