"""BM25 weights by Qdrant's own tokenizers, the same for Edge and for a server; the store adds the IDF part."""

from qdrant_edge import Bm25, Bm25Config, SparseVector, TokenizerType

from rag_indexer.domain.documents import Sparse

AVERAGE_TOKENS = 150.0
"""Of a passage, after stop words: measured over our own docs and package READMEs. Fixed, so that weights compare."""
SATURATION, LENGTH = 0.9, 0.4
"""BM25's k and b: with passages of about one length, how often a word occurs, and the length, tell less than usual."""


class Bm25Terms:
    """
    The Code tokenizer for most text: it also finds the parts of `getUserById`. Multilingual for text with Chinese,
    Japanese, Korean or Thai letters, which have no spaces between words. A plain word is the same term to both.
    """

    fingerprint = "bm25-2"

    def __init__(self) -> None:
        self._code = _bm25(TokenizerType.Code)
        self._multilingual = _bm25(TokenizerType.Multilingual)

    def of_passage(self, text: str) -> Sparse:
        return _sparse(self._model(text).embed_document(text))

    def of_query(self, text: str) -> Sparse:
        return _sparse(self._model(text).embed_query(text))

    def _model(self, text: str) -> Bm25:
        return self._multilingual if any(map(_is_unspaced, text)) else self._code


def _bm25(tokenizer: TokenizerType) -> Bm25:
    return Bm25(Bm25Config(tokenizer=tokenizer, avg_len=AVERAGE_TOKENS, k=SATURATION, b=LENGTH))


def _is_unspaced(letter: str) -> bool:
    return letter >= "\u0e00" and (
        letter <= "\u0eff" or "\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7af"
    )


def _sparse(vector: SparseVector) -> Sparse:
    return Sparse(vector.indices, vector.values)
