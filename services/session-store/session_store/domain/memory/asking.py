"""The words by which people ask to have something remembered: "remember that …", "make a note: …", "帮我记一下…"."""

import re

_POLITE = (
    r"(?P<polite>(?:(?:please|just|and|also|so|(?:can|could|will|would) you|I(?:['\u2019]d| would) like you to"
    r"|I (?:want|need) you to)[\s,]{1,3}){0,4})"
)
_VERB = (
    r"remember|(?:don['\u2019]t|do not|never) (?:let me )?forget|(?:keep|bear)(?: (?:this|that|it))? in mind"
    r"|(?:make|take) a (?:mental )?note|note(?: (?:this|that|it))? down|note|memori[sz]e"
    r"|for (?:future|later) reference|for the record"
)
_WRITE = r"(?:write|jot)(?: (?:this|that|it))? down"
_SAVE = r"(?:save|store|keep) (?:this|that|it)"
_MORE = r"(?:,?\s(?:this|that|it|please|for me|for later|for next time|for future reference)){0,3}"
_CLAUSE = (
    r"(?:(?:my|our|his|her|their|the|this|it|I|we|he|she|they|there)\b|(?-i:[A-Z]))[^\n]{0,80}?"
    r"(?:\b(?:is|are|am|was|were|has|have|had|can|can['\u2019]t|cannot|will|won['\u2019]t|must|should|needs?|likes?"
    r"|lives?|works?|goes|does|do|doesn['\u2019]t|don['\u2019]t)\b|['\u2019](?:s|re|m|ve|ll)\b)"
)
_ENGLISH = (
    rf"{_POLITE}(?:(?:{_VERB}){_MORE}(?:\s+(?:that|this)\b\s*(?::\s*)?|\s*[:,]\s*|\s+(?={_CLAUSE}))"
    rf"|{_WRITE}{_MORE}(?:\s+that\b\s*(?::\s*)?|\s*:\s*)|{_SAVE}{_MORE}\s*:\s*"
    r"|remember\s+(?=(?:my|our|the|I|we)\s))"
)
_CHINESE = (
    "(?:那|还有|另外|顺便)?(?P<able>(?:你)?(?:能不能|可不可以|能|可以))?"
    "(?:请|麻烦|帮我|帮忙|给我|替我|你|您|要|一定|千万|务必){0,4}"
    "(?:记住|记得|记下来|记下|记一下|记着|记好|别忘了?|不要忘[了记]?|写下来|存一下)了?[,，:：、]?[ \t]*"
)
REQUEST = f"(?:{_ENGLISH}|{_CHINESE})"
_AFTER_ENGLISH = (
    rf"(?:(?<=[,;:.!\n])[ \t]{{0,3}}|(?<=\s)(?=(?:please|and|so)\s)){_POLITE}"
    r"(?:(?:remember|memori[sz]e|note|save|store|write down|make a note of|(?:don['\u2019]t|do not|never) forget)"
    r" (?:this|that|it)|(?:note|write|jot) (?:this|that|it) down|(?:keep|bear) (?:this|that|it) in mind)"
    r"(?:,?\s(?:please|for me|for later|for next time))?"
)
_AFTER_CHINESE = f"(?<=[，,。！\n]){_CHINESE}(?:这个|这一?点|它|哦|啊|吧|了){{0,2}}"
AFTERWARDS = re.compile(rf"(?:{_AFTER_ENGLISH}|{_AFTER_CHINESE})(?=[.!?。！？]|\s*(?:\n|$))", re.IGNORECASE)
"""The words that ask to have remembered what was said right before them: "…, please remember that."."""

_AT_THE_BEGINNING = re.compile(REQUEST, re.IGNORECASE)


def request(sentence: str) -> re.Match[str] | None:
    """The words at the sentence's beginning that ask to have the rest remembered."""
    return _AT_THE_BEGINNING.match(sentence)


def is_asked_politely(found: re.Match[str]) -> bool:
    """Whether it is a question only in its form: "could you remember that …?"."""
    return "you" in (found["polite"] or "").casefold() or bool(found["able"])
