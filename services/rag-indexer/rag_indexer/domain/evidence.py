"""Whether a passage speaks of what was asked, by its words and by its meaning."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rag_indexer.domain.documents import Sparse, Vectors
from rag_indexer.domain.fusing import Trust
from rag_indexer.domain.ports import Terms

ENOUGH_BY_WORDS = 0.4
"""Where only words count: this part of the question's terms must be in one passage."""
ENOUGH_UNSPACED = 0.3
"""The same of scripts without spaces, which are cut into more and shorter terms: two of six, and never one of three."""

_CONVERSATION = (
    "hello hi hey thanks thank please tell explain describe give show want need know help good morning evening"
)
"""Words of a question that say nothing of its subject; finding them in a passage is no proof."""
_CONVERSATION_IN_CHINESE = (
    "怎么 怎样 怎么样 怎么办 如何 什么 为什么 为何 哪 哪里 哪儿 哪个 哪些 多少 几 谁 吗 呢 吧 啊 了 的 是 在 有 "
    "和 或者 我 我们 你 你们 它 自己 这 那 能 能不能 可以 会 会不会 有没有 要 要不要 需要 应该 请 请问 告诉 把 还 就 都"
)
"""Those and what every sentence has; of English, the tokenizer leaves that out by itself."""

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]")
_NOT_LATIN = re.compile(r"[^\x00-\u024f]+")


@dataclass(frozen=True, slots=True)
class Words:
    """
    A question by its terms: all, those of its subject, and of those its Latin ones where the rest has another script: a
    question in Chinese about a document in English can only be found by them.
    """

    all: Sparse
    subject: frozenset[int]
    names: frozenset[int]
    is_unspaced: bool


def words(text: str, terms: Terms) -> Words:
    is_unspaced = _UNSPACED.search(text) is not None
    idle = frozenset(terms.of_query(_CONVERSATION).indices)
    if is_unspaced:
        idle |= frozenset(terms.of_query(_CONVERSATION_IN_CHINESE).indices)
    found = terms.of_query(text)
    names = frozenset(terms.of_query(_NOT_LATIN.sub(" ", text)).indices) if is_unspaced else frozenset[int]()
    return Words(found, frozenset(found.indices) - idle, names - idle, is_unspaced)


@dataclass(frozen=True, slots=True)
class Question:
    """`dense` is empty where there is no vector, or it proves nothing."""

    words: Words
    dense: Sequence[float]
    trusted: Trust

    @property
    def enough(self) -> float:
        """The least worth of a passage that is worth quoting."""
        if self.dense:
            return self.trusted.enough
        return ENOUGH_UNSPACED if self.words.is_unspaced else ENOUGH_BY_WORDS

    def worth(self, found: Vectors) -> float:
        """How much of the question the passage has, from 0 upwards."""
        has = frozenset(found.sparse.indices)
        by_words = max(_coverage(self.words.subject, has), _coverage(self.words.names, has))
        if len(self.dense) != len(found.dense):
            return by_words
        floor = self.trusted.floor or 0.0
        above = max(0.0, _cosine(self.dense, found.dense) - floor) / (1 - floor)
        return by_words + self.trusted.proof * above


def question(asked: Words, dense: Sequence[float], trusted: Trust) -> Question:
    proves = trusted.proof > 0 and (trusted.unspaced or not asked.is_unspaced)
    return Question(asked, dense if proves else (), trusted)


def _coverage(terms: Collection[int], has: Collection[int]) -> float:
    # The half keeps a single word that happens to occur from being proof.
    return sum(term in has for term in terms) / (len(terms) + 0.5)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of vectors that have length 1, or 0."""
    return sum(a * b for a, b in zip(one, other, strict=True))
