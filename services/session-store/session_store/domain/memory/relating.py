"""
Who is what, has what, lives and works where: read out of plain sentences by rules, English and Chinese.

A sentence is read as a subject, a verb of the table and the rest; a question is not read. What the rules do not know is
left out: an engine reads better, where one is configured.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from session_store.domain.memory.notes import USER, Statement

READ_CHARS = 4_000
"""Of a message: people state things in short ones; long ones are pasted."""

STOP = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bNo)\.(?=\s|$)|[!?](?=\s|$)|[;\n。！？；]")
"""Where a sentence ends; not behind a title, and not within a number or a name."""

_SUBJECT = (
    r"(?P<subject>(?:[Mm]y|[Oo]ur|[Tt]he|[Tt]his|[Hh]er|[Hh]is)\s[\w' -]{1,50}?"
    r"|[A-Z0-9][\w'.-]*(?:\s(?:of\s|the\s)?[A-Z0-9][\w'.-]*){0,3}|I|[Ww]e)"
)
_ASKS = re.compile(
    r"^\s*(?:what|where|when|who|whom|whose|which|why|how|do|does|did|is|are|was|were|can|could|will|would|should|tell)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Verb:
    pattern: re.Pattern[str]
    key: str
    single: bool


def _verb(pattern: str, key: str, *, single: bool = False) -> _Verb:
    adverb = r"(?:\s(?:now|also|always|still|really|usually|currently|just|only))?"
    return _Verb(re.compile(rf"^{_SUBJECT}{adverb}\s(?:{pattern})\s(?P<value>\S.*)$"), key, single)


_VERBS = (
    _verb(
        r"lives? (?:in|at)|(?:ha(?:s|ve) )?moved to|resides? in|(?:am|is) based in",
        "lives in",
        single=True,
    ),
    _verb("works? (?:at|for)|(?:is|am) employed (?:at|by)|joined", "works at", single=True),
    _verb("works? as", "works as", single=True),
    _verb("works? on", "works on"),
    _verb("(?:am|is|are) allergic to", "is allergic to"),
    _verb("(?:am|is|are) married to|married", "is married to", single=True),
    _verb("(?:am|is|are) (?:called|named)", "is called", single=True),
    _verb("(?:am|is|are|come|comes) from", "is from", single=True),
    _verb("(?:was|were) born (?:in|on)", "was born", single=True),
    _verb("(?:is|are) located in|(?:is|are) hosted (?:in|on)", "is in", single=True),
    _verb("runs? on", "runs on", single=True),
    _verb("depends? on", "depends on"),
    _verb("belongs? to", "belongs to", single=True),
    _verb("reports? to", "reports to", single=True),
    _verb("manages?|leads?|owns?", "leads"),
    _verb("uses?", "uses"),
    _verb("drives?", "drives", single=True),
    _verb("plays?", "plays"),
    _verb("speaks?", "speaks"),
    _verb("stud(?:y|ies|ied)", "studies"),
    _verb("prefers?", "prefers"),
    _verb("likes?|loves?|enjoys?", "likes"),
    _verb("hates?|dislikes?|can't stand|cannot stand", "dislikes"),
    _verb("costs?", "costs", single=True),
    _verb("has|have|'ve got", "has"),
    _verb("is|are|am|was|were", "is"),
)
_POSSESSIVE = re.compile(
    r"^(?P<subject>[Mm]y|[Oo]ur|[A-Z]\w*(?:\s[A-Z]\w*)?['\u2019]s)\s(?P<key>[\w -]{1,40}?)\s"
    r"(?:is|are|was)\s(?P<value>\S.*)$"
)
_OF = re.compile(
    r"^[Tt]he\s(?P<key>[\w -]{1,40}?)\s(?:of|for)\s(?P<subject>[\w '-]{1,40}?)\s(?:is|are|was)\s(?P<value>\S.*)$"
)
_NAMED = re.compile(r"^[Mm]y\s(?P<key>[a-z]+(?:\s[a-z]+)?)\s(?P<name>[A-Z]\w+(?:\s[A-Z]\w+)?)\s(?P<rest>\S.*)$")
_CONTRACTED = ((re.compile(r"\bI'm\b"), "I am"), (re.compile(r"\b(He|She|It|he|she|it)'s\b"), r"\1 is"))
_OPENING = re.compile(
    r"^(?:(?:and|but|so|well|by the way|also|actually|oh|yes|no|ok|okay|hi|hello|fyi|please|can you|could you"
    r"|note that|remember that|don't forget that|keep in mind that|remember)[,:]?\s+)+",
    re.IGNORECASE,
)

_WHO = "(?P<subject>我们|我|[\u4e00-\u9fffA-Za-z0-9·]{1,12}?)"
_WHAT = "(?P<value>[^,，、]{1,60})"
_CHINESE = (
    (re.compile(f"^{_WHO}(?:现在)?(?:住在|住|搬到了?|搬去了?){_WHAT}$"), "住在", True),
    (re.compile(f"^{_WHO}在(?P<value>[^,，]{{1,40}}?)(?:工作|上班)$"), "工作于", True),
    (re.compile(f"^{_WHO}来自{_WHAT}$"), "来自", True),
    (re.compile(f"^{_WHO}(?:出生在|出生于|生于){_WHAT}$"), "出生于", True),
    (re.compile(f"^{_WHO}对(?P<value>[^,，]{{1,30}}?)过敏$"), "过敏于", False),
    (re.compile(f"^{_WHO}(?:最喜欢|喜欢|爱){_WHAT}$"), "喜欢", False),
    (re.compile(f"^{_WHO}(?:讨厌|不喜欢){_WHAT}$"), "讨厌", False),
    (re.compile(f"^{_WHO}(?:使用|用的是|用|在用){_WHAT}$"), "使用", False),
    (re.compile(f"^{_WHO}(?:养了|养着|有){_WHAT}$"), "有", False),
    (re.compile(f"^(?P<subject>我们|我|[^,，的]{{1,12}}?)的(?P<key>[^,，的]{{1,12}}?)(?:是|叫|在){_WHAT}$"), "", True),
    (re.compile(f"^{_WHO}(?:叫|名叫|名字叫){_WHAT}$"), "名叫", True),
    (re.compile(f"^{_WHO}(?:就是|是){_WHAT}$"), "是", False),
)
_OPENING_CHINESE = re.compile("^(?:请|你|帮我|顺便说一下|另外|还有|对了|其实)*(?:记住|记得|记下|注意)?[,，:：]?")


def statements(text: str) -> list[Statement]:
    """What the text's sentences say, in their order."""
    found: list[Statement] = []
    for sentence in sentences(text[:READ_CHARS]):
        found += _read(sentence)
    return found


def sentences(text: str) -> Iterator[str]:
    """Each sentence that states something, without its stop; what asks is left out."""
    begin = 0
    for stop in [*STOP.finditer(text), None]:
        sentence = text[begin : len(text) if stop is None else stop.start()].strip()
        begin = len(text) if stop is None else stop.end()
        asks = (stop is not None and stop.group() in {"?", "？"}) or sentence.endswith(("吗", "呢"))
        if sentence and not asks and _ASKS.match(sentence) is None:
            yield sentence


def _read(sentence: str) -> list[Statement]:
    if any("\u4e00" <= letter <= "\u9fff" for letter in sentence):
        return [found for clause in re.split("[,，]", sentence) if (found := _chinese(clause.strip(), sentence))]
    for contracted, plain in _CONTRACTED:
        sentence = contracted.sub(plain, sentence)
    said = _OPENING.sub("", sentence)
    said = said[:1].upper() + said[1:]
    return _english(said, sentence)


def _english(said: str, text: str) -> list[Statement]:
    if (named := _NAMED.match(said)) is not None:
        who = Statement(USER, named["key"], named["name"], text, single=False)
        return [who, *_english(f"{named['name']} {named['rest']}", text)]
    for pattern in (_POSSESSIVE, _OF):
        if (found := pattern.match(said)) is not None:
            return [Statement(_subject(found["subject"]), found["key"], _value(found["value"]), text, single=True)]
    for verb in _VERBS:
        if (found := verb.pattern.match(said)) is not None:
            return [Statement(_subject(found["subject"]), verb.key, _value(found["value"]), text, verb.single)]
    return []


def _chinese(clause: str, text: str) -> Statement | None:
    said = _OPENING_CHINESE.sub("", clause, count=1)
    for pattern, key, single in _CHINESE:
        if (found := pattern.match(said)) is not None:
            named = key or found["key"]
            return Statement(_subject(found["subject"]), named, found["value"].strip(), text, single)
    return None


def _subject(words: str) -> str:
    bare = re.sub(r"['\u2019]s$", "", words.strip())
    if bare.casefold() in {"i", "we", "my", "our", "me", "我", "我们"}:
        return USER
    return re.sub(r"^(?:the|this|my|our|his|her)\s", "", bare, flags=re.IGNORECASE)


def _value(words: str) -> str:
    """Without what follows a comma: it says something else."""
    return re.split(r",\s|\sbut\s|\sbecause\s", words)[0].strip()[:200]
