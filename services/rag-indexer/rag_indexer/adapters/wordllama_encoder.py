"""Dense vectors from wordllama's weights, read from the installed wheel: no download, no server."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer

from rag_indexer.domain.ports import Kind

WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


DIMENSIONS = 256


@dataclass(frozen=True, slots=True)
class _Model:
    tokenizer: Tokenizer
    vectors: NDArray[np.float16]


class WordllamaEncoder:
    """
    The mean of the vectors of a text's tokens, as wordllama computes it.

    Its files are read here instead of calling `wordllama.load`: that one looks for the tokenizer in the wrong folder
    and then goes online, and it takes 30 MB more and twice the time. Loaded at first use: until somebody builds or
    asks, the service stays small.
    """

    name = fingerprint = "wordllama-l2-supercat"

    def __init__(self) -> None:
        self._model: _Model | None = None
        self._loading = threading.Lock()

    async def dimensions(self) -> int:
        return DIMENSIONS

    async def encode(self, texts: Sequence[str], *, kind: Kind) -> list[list[float]]:
        del kind  # a question is encoded as a passage is
        return await asyncio.to_thread(self._encoded, texts)

    def _encoded(self, texts: Sequence[str]) -> list[list[float]]:
        model = self._loaded()
        encoded = model.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [_mean(model.vectors, item.ids) for item in encoded]

    def _loaded(self) -> _Model:
        with self._loading:
            if self._model is None:
                self._model = _load()
            return self._model


def _mean(vectors: NDArray[np.float16], ids: Sequence[int]) -> list[float]:
    if not ids:
        return [0.0] * vectors.shape[1]
    mean = vectors[np.minimum(ids, len(vectors) - 1)].mean(axis=0, dtype=np.float32)
    length = float(np.linalg.norm(mean))
    unit: list[float] = (mean / length if length else mean).tolist()
    return unit


def _load() -> _Model:
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise RuntimeError("wordllama is not installed")
    folder = Path(spec.origin).parent
    tokenizer: Tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    with safe_open(folder / WEIGHTS, framework="np") as weights:
        return _Model(tokenizer, weights.get_tensor("embedding.weight"))
