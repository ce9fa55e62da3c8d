"""What a person asked to be remembered, in so many words: "remember that …", "…, remember that", "记住…"."""

import re
from dataclasses import replace

from session_store.domain.memory.asking import requests
from session_store.domain.memory.clauses import CLAUSES_AT_MOST, clauses
from session_store.domain.memory.notes import USER, Statement
from session_store.domain.memory.quoting import own_words
from session_store.domain.memory.relating import READ_CHARS, statements
from session_store.domain.memory.sentences import sentences

SHORT_CHARS = 500
"""In a longer message "note that my …" is part of a text."""

_OWN = re.compile(r"(?:my|our|I)\b", re.IGNORECASE)

KEY_CHARS = 60
TEXT_CHARS = 1_000


def asked_for(text: str) -> list[Statement]:
    """
    Each thing the text asks to have remembered; what has no form the rules know is kept as it was said.

    "Note that …" asks for it only where the message says nothing else, or where it is short and speaks of its writer.
    """
    told = [(sentence, *requests(sentence.text)) for sentence in sentences(own_words(text[:READ_CHARS]))]
    is_short = len(text) <= SHORT_CHARS
    is_nothing_else = all(asked and not before for _, before, asked in told)
    found: list[Statement] = []
    said_before = ""
    for sentence, _, asked in told:
        for one in asked:
            is_meant = not one.mildly or is_nothing_else or (is_short and _OWN.match(one.said) is not None)
            # "Remember that summer?" asks, and states nothing; "Could you remember …?" does.
            if is_meant and (one.politely or not sentence.asks):
                found += _stated_before(one.said or said_before) if one.afterwards else _stated(one.said[:TEXT_CHARS])
        said_before = "" if asked or sentence.asks else sentence.text
    return found


def _stated_before(said: str) -> list[Statement]:
    """Nothing where the rules cannot read it: who knows what was meant."""
    return _stated(said[:TEXT_CHARS]) if statements(said) else []


def _stated(said: str) -> list[Statement]:
    """What is said at once is kept apart where all of it has keys of which there is one; else it stays together."""
    parts = clauses(said)
    read = [statements(part) for part in parts] if len(parts) <= CLAUSES_AT_MOST else [[]]
    if all(found and all(one.single and not one.is_over for one in found) for found in read):
        return [replace(one, text=part) for part, found in zip(parts, read, strict=True) for one in found]
    return [Statement(USER, said[:KEY_CHARS], said, said)]
