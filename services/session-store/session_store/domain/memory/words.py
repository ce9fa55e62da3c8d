"""Which words a text has, and how well texts answer to the words of a question; English and Chinese."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_LATIN = re.compile(r"[^\W_\u2e80-\U0010ffff]+")
_DENSE = re.compile("[\u2e80-\U0010ffff]+")
_MARKS = re.compile("[\u3000-\u303f\uff00-\uffef]")

_COMMON = frozenset(
    [
        "a",
        "about",
        "again",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "done",
        "for",
        "from",
        "get",
        "give",
        "go",
        "got",
        "had",
        "has",
        "have",
        "he",
        "her",
        "here",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "know",
        "let",
        "",
        "may",
        "me",
        "might",
        "more",
        "most",
        "much",
        "my",
        "myself",
        "no",
        "not",
        "now",
        "of",
        "off",
        "on",
        "or",
        "our",
        "out",
        "please",
        "remember",
        "remind",
        "s",
        "say",
        "she",
        "should",
        "so",
        "some",
        "t",
        "tell",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "thing",
        "this",
        "those",
        "to",
        "too",
        "up",
        "us",
        "user",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)
_COMMON_DENSE = re.compile(
    "什么|哪里|哪儿|哪个|哪些|怎么|怎样|多少|请问|请|记住|记得|告诉|的|了|吗|呢|是|我|你|您|在|有|和|吧|啊|谁|几"
)
_ENDINGS = (
    "ations",
    "ation",
    "ities",
    "ingly",
    "ists",
    "ings",
    "ist",
    "ies",
    "ing",
    "ers",
    "ed",
    "es",
    "er",
    "ly",
    "s",
    "y",
    "e",
)
_STEM = 3
"""Letters that a word keeps, whatever its ending."""


KEPT_TEXTS, KEPT_CHARS = 4_096, 300
"""
Texts whose words are remembered, and how long one is at most: those of a session's notes are asked for with each of its
turns. A question is not, and may be long; words of Chinese take some 170 bytes for each of its characters.
"""


def words(text: str) -> tuple[str, ...]:
    """
    Its words without those that every text has: Latin ones without their endings, Chinese ones as their characters and
    each two that stand together.
    """
    return _kept(text) if len(text) <= KEPT_CHARS else _words(text)


def _words(text: str) -> tuple[str, ...]:
    lowered = text.casefold()
    found = [
        _stem(word)
        for word in _LATIN.findall(lowered.replace("'s", " ").replace("\u2019s", " "))
        if word not in _COMMON
    ]
    for run in _DENSE.findall(_MARKS.sub(" ", lowered)):
        for piece in _COMMON_DENSE.sub(" ", run).split():
            found += [*piece, *(piece[at : at + 2] for at in range(len(piece) - 1))]
    return tuple(found)


_kept = lru_cache(maxsize=KEPT_TEXTS)(_words)


def likeness(question: Sequence[str], texts: Sequence[Sequence[str]]) -> list[float]:
    """
    How much of the question each text answers, from 0 to 1: the share of its words that the text has, a word counting
    the more the fewer of the texts have it.
    """
    asked = set(question)
    having = Counter(word for text in texts for word in set(text))
    weight = {
        word: math.log(1 + len(texts) / having[word]) if word in having else math.log(1 + len(texts)) for word in asked
    }
    whole = sum(weight.values())
    if not whole:
        return [0.0] * len(texts)
    return [sum(weight[word] for word in asked.intersection(text)) / whole for text in texts]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM:
            return word.removesuffix(ending)
    return word
