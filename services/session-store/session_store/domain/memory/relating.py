"""
Who is what, has what, lives and works where: read out of plain sentences by rules, English and Chinese.

A sentence is read as a subject, a verb of the table and the rest; a question is not read. What the rules do not know is
left out: an engine reads better, where one is configured.
"""

from session_store.domain.memory.asking import requests
from session_store.domain.memory.chinese import said_in_chinese
from session_store.domain.memory.doubting import is_conditional, supposes
from session_store.domain.memory.english import said_in_english, without_opening
from session_store.domain.memory.notes import Statement
from session_store.domain.memory.quoting import own_words
from session_store.domain.memory.sentences import sentences

READ_CHARS = 4_000
"""Of a message: people state things in short ones; long ones are pasted."""


def statements(text: str) -> list[Statement]:
    """What the text's sentences say, in their order; what asks says nothing."""
    found: list[Statement] = []
    for sentence in sentences(own_words(text[:READ_CHARS])):
        if supposes(sentence.text):
            break
        before, asked = requests(sentence.text)
        told = [one.said for one in asked if one.politely or not sentence.asks]
        if before and not sentence.asks and not sentence.begins_asking:
            told.insert(0, before)
        for said in told:
            found += _read(said)
    return found


def _read(told: str) -> list[Statement]:
    said = without_opening(told)
    if is_conditional(said):
        return []
    is_chinese = any("\u4e00" <= letter <= "\u9fff" for letter in said)
    return (said_in_chinese(said) if is_chinese else []) or said_in_english(said)
