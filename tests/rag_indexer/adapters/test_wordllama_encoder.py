"""wordllama's vectors, read without wordllama's own loader."""

import math
from pathlib import Path

import numpy as np
import wordllama

from rag_indexer.adapters.wordllama_encoder import DIMENSIONS, WordllamaEncoder

TEXTS = ["How does the gateway choose an engine?", "数据库连接池的配置", "getUserById(42)", "word " * 3_000, "🙂"]


async def test_the_vectors_are_those_of_wordllama_itself() -> None:
    theirs = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, dim=256, disable_download=True)
    encoder = WordllamaEncoder()

    assert np.allclose(await encoder.encode(TEXTS, kind="passage"), theirs.embed(TEXTS, norm=True), atol=1e-6)


async def test_a_vector_has_length_one_and_that_of_nothing_is_zero() -> None:
    one, none = await WordllamaEncoder().encode(["hello", ""], kind="passage")

    assert math.isclose(math.hypot(*one), 1.0, rel_tol=1e-5)
    assert none == [0.0] * DIMENSIONS


async def test_no_texts_are_no_vectors() -> None:
    assert await WordllamaEncoder().encode([], kind="query") == []
