"""What a person asked to be remembered, in so many words: "remember that …", "记住…"."""

import re
from collections.abc import Iterator

from session_store.domain.memory.notes import USER, Statement
from session_store.domain.memory.relating import READ_CHARS, STOP, statements

_ASKED = re.compile(
    r"(?:^|(?<=[.!?\n,;。！？，；\s]))(?:"
    r"(?P<polite>(?:(?:please|and|also|can you|could you)\s{1,3}){0,4})"
    r"(?:remember|don't forget|do not forget|keep in mind|bear in mind|make a note|note|memori[sz]e)"
    r"(?:\s+that|\s+this|\s*:)\s*:?\s*(?P<english>[^\n]+)"
    r"|remember\s+(?P<bare>(?:my|our|the|I|we)\s[^\n]+)"
    r"|(?:请|帮我|你要|要){0,4}(?:记住|记得|记下来|记下|别忘了|不要忘记)[,，:：]?\s*(?P<chinese>[^\n。！？]+)"
    r")",
    re.IGNORECASE,
)
KEY_CHARS = 60
TEXT_CHARS = 1_000


def asked_for(text: str) -> list[Statement]:
    """Each thing the text asks to have remembered; what has no form the rules know is kept as it was said."""
    return [_statement(said) for said in _requests(text[:READ_CHARS])]


def _requests(text: str) -> Iterator[str]:
    for found in _ASKED.finditer(text):
        said = found["english"] or found["bare"] or found["chinese"]
        sentence = STOP.split(said, maxsplit=1)[0].strip()
        # "Do you remember that …?" and "Remember that summer?" ask, and state nothing; "Could you remember …?" does.
        stop = said[len(sentence) : len(sentence) + 1]
        is_question = stop == "?" and "you" not in (found["polite"] or "").casefold()
        if sentence and not is_question and re.search(r"you\s*$", text[: found.start()].casefold()) is None:
            yield sentence[:TEXT_CHARS]


def _statement(said: str) -> Statement:
    read = statements(said)
    if len(read) == 1 and read[0].single:
        return Statement(read[0].subject, read[0].key, read[0].value, said, single=True)
    return Statement(USER, said[:KEY_CHARS], said, said)
