"""What a person asked to be remembered, in so many words: "remember that …", "记住…"."""

import re
from collections.abc import Iterator

from session_store.domain.memory.asking import REQUEST, is_asked_politely
from session_store.domain.memory.notes import USER, Statement
from session_store.domain.memory.relating import READ_CHARS, STOP, statements

_ASKED = re.compile(rf"(?:^|(?<=[.!?\n,;。！？，；\s])){REQUEST}(?P<said>[^\n]+)", re.IGNORECASE)
_TELLS = re.compile(
    r"(?:\b(?:i|you|we|they|he|she|it|to|a|the|side|still|always|never|must|should|can|can['\u2019]t)|不)\s*$"
)
"""Before the word, where somebody says that they remember, or asks whether: nobody is asked to."""

KEY_CHARS = 60
TEXT_CHARS = 1_000


def asked_for(text: str) -> list[Statement]:
    """Each thing the text asks to have remembered; what has no form the rules know is kept as it was said."""
    return [_statement(said) for said in _requests(text[:READ_CHARS])]


def _requests(text: str) -> Iterator[str]:
    for found in _ASKED.finditer(text):
        sentence = STOP.split(found["said"], maxsplit=1)[0].strip()
        stop = found["said"][len(sentence) : len(sentence) + 1]
        # "Do you remember that …?" and "Remember that summer?" ask, and state nothing; "Could you remember …?" does.
        polite = is_asked_politely(found)
        is_question = not polite and (stop in {"?", "？"} or sentence.endswith(("吗", "呢")))
        said = sentence.removesuffix("吗")
        if said and not is_question and _TELLS.search(text[: found.start()].casefold()) is None:
            yield said[:TEXT_CHARS]


def _statement(said: str) -> Statement:
    read = statements(said)
    if len(read) == 1 and read[0].single:
        return Statement(read[0].subject, read[0].key, read[0].value, said, single=True)
    return Statement(USER, said[:KEY_CHARS], said, said)
