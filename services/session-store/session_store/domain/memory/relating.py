"""
Who is what, has what, lives and works where: read out of plain sentences by rules, English and Chinese.

A sentence is read as a subject, a verb of the table and the rest; a question is not read. What the rules do not know is
left out: an engine reads better, where one is configured.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from session_store.domain.memory.asking import is_asked_politely, request
from session_store.domain.memory.notes import USER, Statement

READ_CHARS = 4_000
"""Of a message: people state things in short ones; long ones are pasted."""

CLAUSES_AT_MOST = 3
"""That a sentence goes on with."""

STOP = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bNo)\.(?=\s|$)|[!?](?=\s|$)|[;\n。！？；]")
"""Where a sentence ends; not behind a title, and not within a number or a name."""

FURTHER = re.compile(
    r"(?:,\s{1,3}(?:and\s)?|\sand\s)(?:that\s)?(?=(?:my|our|I|we)\b)|[，,]?(?:和|以及|还有)(?=我)", re.IGNORECASE
)
"""Where a sentence goes on to say something else."""

_SUBJECT = (
    r"(?P<subject>(?!(?:I|You|We|They|He|She|It|There|That|Who|What)')"
    r"(?:(?:[Mm]y|[Oo]ur|[Tt]he|[Tt]his|[Hh]er|[Hh]is)\s[\w' -]{1,50}?"
    r"|[A-Z0-9][\w'.-]*(?:\s(?:of\s|the\s)?[A-Z0-9][\w'.-]*){0,3}|I|[Ww]e))"
)
_ASKS = re.compile(
    r"^\s*(?:what|where|when|who|whom|whose|which|why|how|do|does|did|is|are|was|were|can|could|will|would|should|tell)\b",
    re.IGNORECASE,
)
_ASKS_CHINESE = re.compile("什么|怎么|怎样|哪[里儿个些]|谁|多少|(?:吗|呢)$")


@dataclass(frozen=True, slots=True)
class _Verb:
    pattern: re.Pattern[str]
    key: str
    single: bool


def _verb(pattern: str, key: str, *, single: bool = False) -> _Verb:
    """Between its words, and before them, may stand how or how often: "I am originally from"."""
    adverb = r"(?:\s(?:now|also|always|still|just|often|\w+ly))?"
    words = pattern.replace("|are) ", f"|are){adverb} ")
    return _Verb(re.compile(rf"^{_SUBJECT}{adverb}\s(?:{words})\s(?P<value>\S.*)$"), key, single)


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
    _verb("(?:(?:am|is|are) |comes? )from", "is from", single=True),
    _verb("(?:was|were) born (?:in|on)", "was born", single=True),
    _verb("(?:is|are) located in|(?:is|are) hosted (?:in|on)", "is in", single=True),
    _verb("runs? on", "runs on", single=True),
    _verb("depends? on", "depends on"),
    _verb("belongs? to", "belongs to", single=True),
    _verb("reports? to", "reports to", single=True),
    _verb("manages?|leads?|owns?|(?:am|is|are) (?:responsible for|in charge of)", "leads"),
    _verb("uses?", "uses"),
    _verb("drives?", "drives", single=True),
    _verb("plays?", "plays"),
    _verb("speaks?", "speaks"),
    _verb("stud(?:y|ies|ied)|learns?|(?:(?:am|is|are) |ha(?:s|ve) been )(?:studying|learning)", "studies"),
    _verb("go(?:es)? to|attends?", "goes to"),
    _verb("prefers?", "prefers"),
    _verb("likes?|loves?|enjoys?", "likes"),
    _verb("hates?|dislikes?|can't stand|cannot stand", "dislikes"),
    _verb("costs?", "costs", single=True),
    _verb("(?:ha(?:s|ve))(?: got)?", "has"),
    _verb("is|are|am|was|were", "is"),
)
_POSSESSIVE = re.compile(
    r"^(?P<subject>(?:[Mm]y|[Oo]ur)\s[\w -]{1,30}?['\u2019]s|[Mm]y"
    r"|[Oo]ur|[A-Z]\w*(?:\s[A-Z]\w*)?['\u2019]s)\s(?P<key>[\w -]{1,40}?)\s"
    r"(?:is|are|was)(?:\s(?:now|also|still))?(?:\s(?:called|named))?\s(?P<value>\S.*)$"
)
_OF = re.compile(
    r"^[Tt]he\s(?P<key>[\w -]{1,40}?)\s(?:of|for|at|in|to)\s"
    r"(?P<subject>[\w '-]{1,40}?)\s(?:is|are|was)\s(?P<value>\S.*)$"
)
_NAMED = re.compile(r"^[Mm]y\s(?P<key>[a-z]+(?:\s[a-z]+)?)\s(?P<name>[A-Z]\w+(?:\s[A-Z]\w+)?)\s(?P<rest>\S.*)$")
_CONTRACTED = (
    (re.compile("\u2019"), "'"),
    (re.compile(r"\bI'm\b"), "I am"),
    (re.compile(r"\b(He|She|It|he|she|it)'s\b"), r"\1 is"),
    (re.compile(r"\b(I|[Ww]e|[Yy]ou|[Tt]hey)'ve\b"), r"\1 have"),
    (re.compile(r"\b([Ww]e|[Yy]ou|[Tt]hey)'re\b"), r"\1 are"),
)
_OPENING = re.compile(
    r"^(?:(?:and|but|so|well|by the way|also|actually|oh|yes|no|ok|okay|hi|hello|fyi|please|just so you know)"
    r"[,:]?\s+)+",
    re.IGNORECASE,
)
_SETTING = re.compile(
    r"^(?!if\b|when|unless\b|while\b|because\b|although\b|though\b|once\b|suppose\b|imagine\b|say\b)"
    r"[\w' -]{1,40}[,:]\s+(?P<rest>\S.*)$",
    re.IGNORECASE,
)
"""What stands before the statement proper: "these days, …"."""

_NOT = re.compile(r"\s(?:(?:do|does)|(?P<is>am|is|are))(?:n't|\snot)\b")
_ANY_MORE = re.compile(r"\sany\s?(?:more|longer)$")
_OVER_CHINESE = re.compile("^(?P<who>[^不]{1,14})不(?:再(?P<again>.+?)|(?P<more>.+))了?$")
"""And 了 must end it where 再 is not there: "我不住在上海了"."""

_WHO = "(?P<subject>我们|我|[\u4e00-\u9fffA-Za-z0-9·]{1,12}?)(?<![不没别])"
_WHAT = "(?P<value>[^,，、]{1,60})"
_CHINESE = (
    (re.compile(f"^{_WHO}(?:的)?(?:老家|家乡|祖籍)(?:是|在){_WHAT}$"), "来自", True),
    (re.compile(f"^{_WHO}(?:现在)?(?:住在|住|搬到了?|搬去了?){_WHAT}$"), "住在", True),
    (re.compile(f"^{_WHO}在(?P<value>[^,，]{{1,40}}?)(?:工作|上班)$"), "工作于", True),
    (re.compile(f"^{_WHO}(?:现在)?(?:在[^,，]{{1,20}}?)?(?:当(?![然时初场])|担任|从事){_WHAT}$"), "职业", True),
    (
        re.compile(
            f"^{_WHO}(?:现在)?在(?P<value>[^,，]{{1,20}}?)(?:读|上|念)(?:书|学|[大高初中小]学|[高初]中|幼儿园|研究生|博士)$"
        ),
        "就读于",
        True,
    ),
    (re.compile(f"^{_WHO}(?:负责|主管){_WHAT}$"), "负责", False),
    (re.compile(f"^{_WHO}来自{_WHAT}$"), "来自", True),
    (re.compile(f"^{_WHO}(?:出生在|出生于|生于){_WHAT}$"), "出生于", True),
    (re.compile(f"^{_WHO}对(?P<value>[^,，]{{1,30}}?)过敏$"), "过敏于", False),
    (re.compile(f"^{_WHO}(?:讨厌|不喜欢){_WHAT}$"), "讨厌", False),
    (re.compile(f"^{_WHO}(?:最喜欢|喜欢|爱)(?!的){_WHAT}$"), "喜欢", False),
    (re.compile(f"^{_WHO}(?:使用|用的是|用|在用){_WHAT}$"), "使用", False),
    (re.compile(f"^{_WHO}(?:养了|养着|有){_WHAT}$"), "有", False),
    (re.compile(f"^(?P<subject>我们|我)(?P<key>最?(?:喜欢|爱)的[^,，的]{{1,12}}?)(?:是|叫){_WHAT}$"), "", True),
    (re.compile(f"^(?P<subject>我们|我|[^,，的]{{1,12}}?)的(?P<key>[^,，的]{{1,12}}?)(?:是|叫|在){_WHAT}$"), "", True),
    (re.compile(f"^{_WHO}(?:叫|名叫|名字叫){_WHAT}$"), "名叫", True),
    (re.compile(f"^{_WHO}(?:就是|是){_WHAT}$"), "是", False),
)
_OPENING_CHINESE = re.compile("^(?:请|顺便说一下|另外|还有|对了|其实|注意|我记得|我觉得)*[,，:：]?")


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
        is_question = (stop is not None and stop.group() in {"?", "？"}) or _ASKS_CHINESE.search(sentence) is not None
        asked = request(sentence)
        if asked is None:
            states = not is_question and _ASKS.match(sentence) is None
        else:
            states = not is_question or is_asked_politely(asked)
        if sentence and states:
            yield sentence


def _read(sentence: str) -> list[Statement]:
    said = _OPENING.sub("", sentence)
    asked = request(said)
    said = said if asked is None else said[asked.end() :].removesuffix("吗")
    if any("\u4e00" <= letter <= "\u9fff" for letter in said):
        clauses = [found for clause in re.split("[,，]", said) if (found := _chinese(clause.strip(), sentence))]
        if clauses:
            return clauses
    for contracted, plain in _CONTRACTED:
        said = contracted.sub(plain, said)
    if (before := _over(said)) is not None:
        return [replace(found, is_over=True) for found in _english(before, sentence)]
    parts = FURTHER.split(said, maxsplit=CLAUSES_AT_MOST)
    first = _english(parts[0], sentence)
    if not first:
        set_in = _SETTING.match(said)
        return _english(said, sentence) or (_english(set_in["rest"], sentence) if set_in else [])
    return [*first, *(found for part in parts[1:] for found in _english(part, sentence))]


def _over(said: str) -> str | None:
    """What it says is so no longer, as it was said before; None where it says no such thing."""
    if " no longer " in said:
        return said.replace(" no longer ", " ", 1)
    ended = _ANY_MORE.sub("", said)
    plain = _NOT.sub(lambda found: f" {found['is']}" if found["is"] else "", ended, count=1)
    return plain if said != ended != plain else None


def _english(said: str, text: str) -> list[Statement]:
    said = said[:1].upper() + said[1:]
    if (named := _NAMED.match(said)) is not None and (told := _plain(f"{named['name']} {named['rest']}", text)):
        return [Statement(USER, named["key"], named["name"], text, single=False), *told]
    return _plain(said, text)


def _plain(said: str, text: str, clauses: int = CLAUSES_AT_MOST) -> list[Statement]:
    """With up to so many further `clauses` that have the same subject: "works at Google and lives in Zurich"."""
    for pattern in (_POSSESSIVE, _OF):
        if (found := pattern.match(said)) is not None:
            return [Statement(_subject(found["subject"]), found["key"], _value(found["value"]), text, single=True)]
    for verb in _VERBS:
        if (found := verb.pattern.match(said)) is not None:
            value, _, more = found["value"].partition(" and ")
            further = _plain(f"{found['subject']} {more}", text, clauses - 1) if more and clauses else []
            value = value if further else found["value"]
            return [Statement(_subject(found["subject"]), verb.key, _value(value), text, verb.single), *further]
    return []


def _chinese(clause: str, text: str) -> Statement | None:
    said = _OPENING_CHINESE.sub("", clause, count=1)
    over = _OVER_CHINESE.match(said)
    if over is not None and (over["again"] or said.endswith("了")):
        told = _chinese(f"{over['who'].removesuffix('已经')}{over['again'] or over['more'].removesuffix('了')}", text)
        return None if told is None else replace(told, is_over=True)
    for pattern, key, single in _CHINESE:
        if (found := pattern.match(said)) is not None:
            named = key or found["key"]
            return Statement(_subject(found["subject"]), named, _ended(found["value"]), text, single)
    return None


def _ended(words: str) -> str:
    """Without 了, which says that it is so now."""
    value = words.strip()
    return value.removesuffix("了").strip() or value


def _subject(words: str) -> str:
    bare = re.sub(r"['\u2019]s$", "", words.strip())
    if bare.casefold() in {"i", "we", "my", "our", "me", "我", "我们"}:
        return USER
    return re.sub(r"^(?:(?:the|this|my|our|his|her)\s|我们|我)", "", bare, flags=re.IGNORECASE)


def _value(words: str) -> str:
    """Without what follows a comma: it says something else."""
    return re.split(r",\s|\sbut\s|\sbecause\s|\sand (?:he|she|it|they)\s", words)[0].strip()[:200]
