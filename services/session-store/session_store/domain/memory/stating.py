"""What a person asked to be remembered, in so many words: "remember that …", "记住…"."""

from session_store.domain.memory.asking import requests
from session_store.domain.memory.notes import USER, Statement
from session_store.domain.memory.relating import READ_CHARS, statements
from session_store.domain.memory.sentences import sentences

KEY_CHARS = 60
TEXT_CHARS = 1_000


def asked_for(text: str) -> list[Statement]:
    """Each thing the text asks to have remembered; what has no form the rules know is kept as it was said."""
    found: list[Statement] = []
    for sentence in sentences(text[:READ_CHARS]):
        _, asked = requests(sentence.text)
        # "Remember that summer?" asks, and states nothing; "Could you remember …?" does.
        for said in (one.said for one in asked if one.politely or not sentence.asks):
            found += _stated(said[:TEXT_CHARS])
    return found


def _stated(said: str) -> list[Statement]:
    read = statements(said)
    if read and all(one.single for one in read):
        return [Statement(one.subject, one.key, one.value, said, single=True) for one in read]
    return [Statement(USER, said[:KEY_CHARS], said, said)]
