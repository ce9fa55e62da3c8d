"""
Who is what, has what, lives and works where: read out of plain sentences by rules, English and Chinese.

A sentence is read as a subject, a verb of the table and the rest; a question is not read. What the rules do not know is
left out: an engine reads better, where one is configured.
"""

import re
from dataclasses import dataclass

from session_store.domain.memory.asking import requests
from session_store.domain.memory.doubting import is_conditional, is_doubtful, is_doubtful_chinese, supposes
from session_store.domain.memory.notes import USER, Statement
from session_store.domain.memory.quoting import own_words
from session_store.domain.memory.sentences import sentences

READ_CHARS = 4_000
"""Of a message: people state things in short ones; long ones are pasted."""

_NO_NAME = (
    r"(?:I|My|Our|The|You|Your|We|They|Their|He|His|She|Her|It|Its|There|Here|This|That|These|Those|Who|What|Which|Nobody"
    r"|Nothing|None|No|Everyone|Everybody|Everything|Someone|Somebody|Something|Anyone|Anybody|One|All|Some|Many|Most"
    r"|Today|Tomorrow|Yesterday|Now|Then|If|When|While|Since|Until|Unless|Once|Because|Although|Imagine|Suppose|Assume"
    r"|Pretend|Let|Lets|Say|Says|As|Below|Above|Attached)"
)
_SUBJECT = (
    r"(?P<subject>(?:[Mm]y|[Oo]ur|[Tt]he|[Tt]his)\s[\w' -]{1,50}?|I|[Ww]e"
    rf"|(?!{_NO_NAME}\b)[A-Z0-9][\w'.-]*(?:\s(?:of\s|the\s)?[A-Z0-9][\w'.-]*){{0,3}})"
)


@dataclass(frozen=True, slots=True)
class _Verb:
    pattern: re.Pattern[str]
    key: str
    single: bool


def _verb(pattern: str, key: str, *, single: bool = False) -> _Verb:
    """Between its words, and before them, may stand how or how often: "I am originally from"."""
    doubting = "(?!hardly|barely|scarcely|nearly|former|previous|possib|probab)"
    adverb = rf"(?:\s(?:now|also|always|still|just|often|{doubting}\w+ly))?"
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
    _verb(r"(?:was|were)(?=\s(?:last\s|first\s)?\w{3,}ed\s)", "was"),
    _verb("is|are|am", "is"),
)
_POSSESSIVE = re.compile(
    r"^(?P<subject>(?:[Mm]y|[Oo]ur)\s[\w -]{1,30}?['\u2019]s|[Mm]y"
    rf"|[Oo]ur|(?!{_NO_NAME}\b)[A-Z]\w*(?:\s[A-Z]\w*)?['\u2019]s)\s(?P<key>[\w -]{{1,40}}?)\s"
    r"(?:is|are)(?:\s(?:called|named))?\s(?P<value>\S.*)$"
)
_OF = re.compile(
    r"^[Tt]he\s(?P<key>[\w -]{1,40}?)\s(?:of|for|at|in|to)\s"
    r"(?P<subject>[\w '-]{1,40}?)\s(?:is|are)\s(?P<value>\S.*)$"
)
_NAMED = re.compile(r"^[Mm]y\s(?P<key>[a-z]+(?:\s[a-z]+)?)\s(?P<name>[A-Z]\w+(?:\s[A-Z]\w+)?)\s(?P<rest>\S.*)$")
_VALUE_ENDS = re.compile(
    r",\s|\sbut\s|\sbecause\s|\sand\s(?=(?:live|work|have|ha|like|love|use|play|speak|drive)s?\s|(?:am|is|are)\s)"
)
_CONTRACTED = (
    (re.compile("\u2019"), "'"),
    (re.compile(r"\bI'm\b"), "I am"),
    (re.compile(r"\b(He|She|It|he|she|it)'s\b"), r"\1 is"),
    (re.compile(r"\b(I|[Ww]e|[Yy]ou|[Tt]hey)'ve\b"), r"\1 have"),
    (re.compile(r"\b([Ww]e|[Yy]ou|[Tt]hey)'re\b"), r"\1 are"),
)
_OPENING = re.compile(
    r"^(?:(?:and|but|so|well|by the way|also|actually|oh|yes|no(?=[,:])|ok|okay|hi|hello|fyi|please"
    r"|just so you know)[,:]?\s+)+",
    re.IGNORECASE,
)
_AND = re.compile(
    r",?\sand\s(?=(?:I|we|he|she|they|it)\s"
    r"|(?:my|our|his|her|their)\s[\w' -]{1,40}?\s(?:is|are|lives?|works?|has|have)\s)"
)
_SETTING = re.compile(
    r"^(?!if\b|when|unless\b|while\b|because\b|although\b|though\b|once\b|as\b|according\b|maybe\b"
    r"|perhaps\b|probably\b|apparently\b|for example\b"
    r"|[\w' -]{0,40}\b(?:story|game|dream|novel|scenario|book|example|film|movie|play|role|world|said|says?|wrote"
    r"|writes|asked|told|claims?|thinks?|believes?)\b)[\w' -]{1,40},\s+(?P<rest>\S.*)$",
    re.IGNORECASE,
)
"""What stands before the statement proper: "these days, …"."""

_WHO = (
    "(?P<subject>我们|我|[\u4e00-\u9fffA-Za-z0-9·]{1,12}?)"
    "(?:也|还|都|一直|真的|其实|平时|经常|常常|特别|很|非常|已经|目前|最近|主要|现在){0,2}(?<![不没别记的])"
)
_WHAT = "(?P<value>[^,，、]{1,60})"
_CHINESE = (
    (re.compile(f"^(?P<subject>我们|我)的(?P<key>[^,，的]{{1,12}}?)(?<![不没别])(?:是|叫|在){_WHAT}$"), "", True),
    (re.compile(f"^{_WHO}(?:的)?(?:老家|家乡|祖籍)(?:是|在){_WHAT}$"), "来自", True),
    (re.compile(f"^{_WHO}(?:住在|(?<![抓站停保挡拦忍坐稳卡])住(?![了不院进])|搬到了?|搬去了?){_WHAT}$"), "住在", True),
    (re.compile(f"^{_WHO}在(?P<value>[^,，]{{1,40}}?)(?:工作|上班)$"), "工作于", True),
    (re.compile(f"^{_WHO}(?:在[^,，]{{1,20}}?)?(?:当(?![然时初场])|担任|从事){_WHAT}$"), "职业", True),
    (
        re.compile(
            f"^{_WHO}在(?P<value>[^,，]{{1,20}}?)(?:读|上|念)(?:书|学|[大高初中小]学|[高初]中|幼儿园|研究生|博士)$"
        ),
        "就读于",
        True,
    ),
    (re.compile(f"^{_WHO}(?:负责|主管){_WHAT}$"), "负责", False),
    (re.compile(f"^{_WHO}来自{_WHAT}$"), "来自", True),
    (re.compile(f"^{_WHO}(?:出生在|出生于|生于){_WHAT}$"), "出生于", True),
    (re.compile(f"^{_WHO}对(?P<value>[^,，]{{1,30}}?)(?<![不没])过敏$"), "过敏于", False),
    (re.compile(f"^{_WHO}(?:讨厌|不喜欢){_WHAT}$"), "讨厌", False),
    (re.compile(f"^{_WHO}(?:最喜欢|喜欢|(?<![可恋热])爱)(?![的上]){_WHAT}$"), "喜欢", False),
    (re.compile(f"^{_WHO}(?:使用|用的是|(?<![信有作利应费])用(?![不户完得了])|在用){_WHAT}$"), "使用", False),
    (re.compile(f"^{_WHO}(?:养了|养着|(?<![所拥只具含])有(?![点时些事空])){_WHAT}$"), "有", False),
    (
        re.compile(f"^(?P<subject>我们|我)(?P<key>最?(?:喜欢|爱)的[^,，的]{{1,12}}?)(?<![不没别])(?:是|叫){_WHAT}$"),
        "",
        True,
    ),
    (
        re.compile(
            f"^(?P<subject>我们|我|[^,，的]{{1,12}}?)的(?P<key>[^,，的]{{1,12}}?)(?<![不没别])(?:是|叫|在){_WHAT}$"
        ),
        "",
        True,
    ),
    (re.compile(f"^{_WHO}(?:名叫|名字叫|叫(?![了你我他她它车])){_WHAT}$"), "名叫", True),
    (re.compile(f"^{_WHO}(?:就是|(?<![还总但可要而于或算])是(?!说|真的|想|为了|因为|在)){_WHAT}$"), "是", False),
)
_SAYS_CHINESE = re.compile("(?:说|问|写道|以为|认为)[:：]?\\s*$")
_OPENING_CHINESE = re.compile("^(?:请|顺便说一下|另外|还有|对了|其实|注意|我记得|我觉得)*[,，:：]?")


def statements(text: str) -> list[Statement]:
    """What the text's sentences say, in their order; what asks says nothing."""
    found: list[Statement] = []
    for sentence in sentences(own_words(text[:READ_CHARS])):
        if supposes(sentence.text):
            break
        before, asked = requests(sentence.text)
        clauses = [one.said for one in asked if one.politely or not sentence.asks]
        if before and not sentence.asks and not sentence.begins_asking:
            clauses.insert(0, before)
        for clause in clauses:
            found += _read(clause, sentence.text)
    return found


def _read(clause: str, sentence: str) -> list[Statement]:
    said = _OPENING.sub("", clause)
    if is_conditional(said):
        return []
    if any("\u4e00" <= letter <= "\u9fff" for letter in said) and (told := _clauses_chinese(said, sentence)):
        return told
    for contracted, plain in _CONTRACTED:
        said = contracted.sub(plain, said)
    return _clauses(said, sentence)


def _clauses(said: str, text: str) -> list[Statement]:
    """Up to the first that is not understood: what it says may turn the others round."""
    found: list[Statement] = []
    for part in _AND.split(said):
        set_in = _SETTING.match(part)
        told = _english(part, text) or (_english(set_in["rest"], text) if set_in else [])
        if not told:
            break
        found += told
    return found


def _clauses_chinese(said: str, text: str) -> list[Statement]:
    """Up to the first that tells what somebody says or thinks."""
    found: list[Statement] = []
    for part in re.split("[,，]", said):
        if _SAYS_CHINESE.search(part) is not None:
            break
        if (told := _chinese(part.strip(), text)) is not None:
            found.append(told)
    return found


def _english(said: str, text: str) -> list[Statement]:
    said = said[:1].upper() + said[1:]
    if (named := _NAMED.match(said)) is not None and (told := _plain(f"{named['name']} {named['rest']}", text)):
        return [Statement(USER, named["key"], named["name"], text, single=False), *told]
    return _plain(said, text)


def _plain(said: str, text: str) -> list[Statement]:
    for pattern in (_POSSESSIVE, _OF):
        if (found := pattern.match(said)) is not None:
            if is_doubtful(found["value"], found["subject"], found["key"]):
                return []
            return [Statement(_subject(found["subject"]), found["key"], _value(found["value"]), text, single=True)]
    for verb in _VERBS:
        if (found := verb.pattern.match(said)) is not None:
            if is_doubtful(found["value"], found["subject"]):
                return []
            return [Statement(_subject(found["subject"]), verb.key, _value(found["value"]), text, verb.single)]
    return []


def _chinese(clause: str, text: str) -> Statement | None:
    said = _OPENING_CHINESE.sub("", clause, count=1)
    for pattern, key, single in _CHINESE:
        if (found := pattern.match(said)) is not None:
            if is_doubtful_chinese(found["value"], found["subject"]):
                return None
            named = key or found["key"]
            return Statement(_subject(found["subject"]), named, found["value"].strip(), text, single)
    return None


def _subject(words: str) -> str:
    bare = re.sub(r"['\u2019]s$", "", words.strip())
    if bare.casefold() in {"i", "we", "my", "our", "me", "我", "我们"}:
        return USER
    return re.sub(r"^(?:(?:the|this|my|our)\s|我们|我)", "", bare, flags=re.IGNORECASE)


def _value(words: str) -> str:
    """Without what follows a comma: it says something else."""
    return _VALUE_ENDS.split(words)[0].strip()[:200]
