"""What a person asked to be remembered, in so many words: "remember that …", "记住…"."""

import re

from session_store.domain.memory.asking import requests
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
    for sentence, _, asked in told:
        for one in asked:
            is_meant = not one.mildly or is_nothing_else or (is_short and _OWN.match(one.said) is not None)
            # "Remember that summer?" asks, and states nothing; "Could you remember …?" does.
            if is_meant and (one.politely or not sentence.asks):
                found += _stated(one.said[:TEXT_CHARS])
    return found


def _stated(said: str) -> list[Statement]:
    read = statements(said)
    if read and all(one.single for one in read):
        return [Statement(one.subject, one.key, one.value, said, single=True) for one in read]
    return [Statement(USER, said[:KEY_CHARS], said, said)]
