"""What a person asked to be remembered, in so many words: "remember that …", "…, remember that", "记住…"."""

import re
from collections.abc import Iterator

from session_store.domain.memory.asking import AFTERWARDS, REQUEST, is_asked_politely
from session_store.domain.memory.notes import USER, Statement
from session_store.domain.memory.relating import FURTHER, READ_CHARS, STOP, statements

_ASKED = re.compile(rf"(?:^|(?<=[.!?\n,;。！？，；\s])){REQUEST}(?P<said>[^\n]+)", re.IGNORECASE)
_TELLS = re.compile(
    r"(?:\b(?:i|you|we|they|he|she|it|to|a|the|side|still|always|never|not|must|should|can|\w{1,10}n['\u2019]t)|不)\s*$"
)
"""Before the word, where somebody says that they remember, or asks whether: nobody is asked to."""

KEY_CHARS = 60
TEXT_CHARS = 1_000


def asked_for(text: str) -> list[Statement]:
    """Each thing the text asks to have remembered; what has no form the rules know is kept as it was said."""
    read = text[:READ_CHARS]
    found = [statement for said in [*_requests(read), *_afterwards(read)] for statement in _statements(said)]
    return list(dict.fromkeys(found))


def _requests(text: str) -> Iterator[str]:
    afterwards = [found.span() for found in AFTERWARDS.finditer(text)]
    for found in _ASKED.finditer(text):
        if any(begin <= found.start() < end for begin, end in afterwards):
            continue
        sentence = STOP.split(found["said"], maxsplit=1)[0].strip()
        stop = found["said"][len(sentence) : len(sentence) + 1]
        # "Do you remember that …?" and "Remember that summer?" ask, and state nothing; "Could you remember …?" does.
        polite = is_asked_politely(found)
        is_question = not polite and (stop in {"?", "？"} or sentence.endswith(("吗", "呢")))
        said = sentence.removesuffix("吗")
        if said and not is_question and _TELLS.search(text[: found.start()].casefold()) is None:
            yield said[:TEXT_CHARS]


def _afterwards(text: str) -> Iterator[str]:
    """What the rules can read of the sentence before the words that ask for it."""
    for found in AFTERWARDS.finditer(text):
        said = STOP.split(text[: found.start()].rstrip(" \t\n,;:.!，。！"))[-1].strip()
        if statements(said):
            yield said[:TEXT_CHARS]


def _statements(said: str) -> list[Statement]:
    """What was said at once is kept apart where all of it has keys; else it stays together, without one."""
    parts = FURTHER.split(said)
    if not statements(parts[0]):
        parts = [said]
    read = [statements(part) for part in parts]
    if all(len(found) == 1 and found[0].single and not found[0].is_over for found in read):
        return [
            Statement(one.subject, one.key, one.value, part, single=True)
            for part, (one,) in zip(parts, read, strict=True)
        ]
    return [Statement(USER, said[:KEY_CHARS], said, said)]
