"""A text cut into its sentences, English and Chinese, each with whether it asks."""

import re
from collections.abc import Iterator
from typing import NamedTuple

STOP = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bNo)\.(?=\s|$)|[!?]{1,8}(?=\s|$)|[;\n。；]|[！？]{1,8}"
)
"""Where a sentence ends; not behind a title, and not within a number or a name."""

_ASKS = re.compile(
    r"(?:what|where|when|who|whom|whose|which|why|how|am|shall|tell|(?:do|does|did|is|are|was|were|has|have|had|can|could"
    r"|will|would|should)(?:n['\u2019]t)?)\b",
    re.IGNORECASE,
)
_ASKS_CHINESE = re.compile("什么|怎么|怎样|哪|谁|多少|是不是|是否|有没有|对不对|能不能|(?:吗|呢)$")


class Sentence(NamedTuple):
    """Without its stop. `asks`: it is a question by its end or its words; `begins_asking`: by its first word."""

    text: str
    asks: bool
    begins_asking: bool


def sentences(text: str) -> Iterator[Sentence]:
    begin = 0
    for stop in [*STOP.finditer(text), None]:
        sentence = text[begin : len(text) if stop is None else stop.start()].strip()
        begin = len(text) if stop is None else stop.end()
        if sentence:
            is_question = stop is not None and {"?", "？"}.intersection(stop.group()) != set()
            asks = is_question or _ASKS_CHINESE.search(sentence) is not None
            yield Sentence(sentence, asks, _ASKS.match(sentence) is not None)
