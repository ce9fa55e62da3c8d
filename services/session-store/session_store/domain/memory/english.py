"""What an English sentence says: a subject, a verb of the table and the rest of each clause, and whether it is over."""

import re
from dataclasses import dataclass, replace

from session_store.domain.memory.clauses import CLAUSES_AT_MOST, clauses
from session_store.domain.memory.doubting import governs, is_doubtful
from session_store.domain.memory.notes import USER, Statement

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
_DOUBTING = "(?!hardly|barely|scarcely|nearly|former|previous|possib|probab)"
_ADVERB = rf"(?:\s(?:now|also|always|still|just|often|{_DOUBTING}\w+ly))?"
_NOW = r"(?:\s(?:now|also|still|currently))?"


@dataclass(frozen=True, slots=True)
class _Verb:
    pattern: re.Pattern[str]
    key: str
    single: bool


def _verb(pattern: str, key: str, *, single: bool = False) -> _Verb:
    """Between its words, and before them, may stand how or how often: "I am originally from"."""
    words = pattern.replace("|are) ", f"|are){_ADVERB} ")
    return _Verb(re.compile(rf"^{_SUBJECT}{_ADVERB}\s(?:{words})\s(?P<value>\S.*)$"), key, single)


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
    _verb(r"(?:ha(?:s|ve))(?: got)?(?!\sto\b)", "has"),
    _verb(r"(?:was|were)(?=\s(?:last\s|first\s)?\w{3,}ed\s)", "was"),
    _verb(rf"(?:is|are|am){_NOW}", "is"),
)
_POSSESSIVE = re.compile(
    r"^(?P<subject>(?:[Mm]y|[Oo]ur)\s[\w -]{1,30}?['\u2019]s|[Mm]y"
    rf"|[Oo]ur|(?!{_NO_NAME}\b)[A-Z]\w*(?:\s[A-Z]\w*)?['\u2019]s)\s(?P<key>[\w -]{{1,40}}?)\s"
    rf"(?:is|are){_NOW}(?:\s(?:called|named))?\s(?P<value>\S.*)$"
)
_OF = re.compile(
    r"^[Tt]he\s(?P<key>[\w -]{1,40}?)\s(?:of|for|at|in|to)\s"
    rf"(?P<subject>[\w '-]{{1,40}}?)\s(?:is|are){_NOW}\s(?P<value>\S.*)$"
)
_NAMED = re.compile(r"^[Mm]y\s(?P<key>[a-z]+(?:\s[a-z]+)?)\s(?P<name>[A-Z]\w+(?:\s[A-Z]\w+)?)\s(?P<rest>\S.*)$")
_WORDS = "lives?|works?|has|have|am|is|are|likes?|loves?|hates?|uses?|plays?|speaks?|drives?"
_SAME = re.compile(rf"\sand{_ADVERB}\s(?=(?:{_WORDS})\s)")
"""Where a clause goes on with its subject: "works at Google and lives in Zurich"."""

_HOLDS_A_VERB = re.compile(rf"\b(?:to|{_WORDS})\b")
_VALUE_ENDS = re.compile(r",\s|\sbut\s|\sbecause\s")
_NOT = re.compile(r"\s(?:(?:do|does)|(?P<is>am|is|are))(?:n't|\snot)\b")
_NO_LONGER = re.compile(r"\sno longer(?=\s|$)")
_ANY_MORE = re.compile(r",?\sany\s?(?:more|longer)$")
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
_SETTING = re.compile(
    r"^(?!if\b|when|unless\b|while\b|because\b|although\b|though\b|once\b|as\b|according\b|maybe\b"
    r"|perhaps\b|probably\b|apparently\b|for example\b"
    r"|[\w' -]{0,40}\b(?:story|game|dream|novel|scenario|book|example|film|movie|play|role|world|said|says?|wrote"
    r"|writes|asked|told|claims?|thinks?|believes?|I|you|text|exercise|task"
    r"|sentence|letter|e-?mail|not)\b)[\w' -]{1,40},\s+(?P<rest>\S.*)$",
    re.IGNORECASE,
)
"""What stands before the statement proper: "these days, …"."""


def said_in_english(said: str) -> list[Statement]:
    """Each with its clause as its text, or with all that is said where not all of it was understood."""
    if found := _clauses(said):
        return found
    set_in = _SETTING.match(said)
    return [replace(one, text=said) for one in _clauses(set_in["rest"])] if set_in else []


def without_opening(said: str) -> str:
    return _OPENING.sub("", said)


def _clauses(said: str) -> list[Statement]:
    """Up to the first that is not understood: what it says may turn the others round."""
    parts = clauses(said)
    read: list[list[Statement]] = []
    for clause in parts[:CLAUSES_AT_MOST]:
        if not (told := _english(clause)):
            break
        read.append(told)
        if governs(clause):
            break
    found = [one for told in read for one in told]
    return found if len(read) == len(parts) else [replace(one, text=said) for one in found]


def _english(clause: str) -> list[Statement]:
    said = clause[:1].upper() + clause[1:]
    for contracted, plain in _CONTRACTED:
        said = contracted.sub(plain, said)
    if (named := _NAMED.match(said)) is not None and (told := _parts(f"{named['name']} {named['rest']}", clause)):
        return [Statement(USER, named["key"], named["name"], clause), *told]
    return _parts(said, clause)


def _parts(said: str, text: str) -> list[Statement]:
    """Of one subject; of the first alone where the next may belong to what the first says."""
    was = _was(said)
    if (told := _plain(was or said, text)) is None:
        return []
    subject, first = told
    begun, *further = _SAME.split(said)
    if was or not subject or not further or governs(said) or _HOLDS_A_VERB.search(first.value):
        return [replace(first, is_over=was is not None)]
    found = [replace(first, text=begun)]
    for words in further[: CLAUSES_AT_MOST - 1]:
        part = f"{subject} {words}"
        if (told := _plain(part, part)) is None:
            break
        found.append(told[1])
    return found if len(found) == len(further) + 1 else [replace(one, text=text) for one in found]


def _was(said: str) -> str | None:
    """What it says is so no longer, as it was said before; None where it says no such thing."""
    if _NO_LONGER.search(said) is not None:
        return _NO_LONGER.sub("", said, count=1)
    ended = _ANY_MORE.sub("", said)
    was = _NOT.sub(lambda found: f" {found['is']}" if found["is"] else "", ended, count=1)
    return was if said != ended != was else None


def _plain(said: str, text: str) -> tuple[str, Statement] | None:
    """And the subject's words, where the sentence may go on with them."""
    for pattern in (_POSSESSIVE, _OF):
        if (found := pattern.match(said)) is not None:
            if is_doubtful(found["value"], found["subject"], found["key"]):
                return None
            value = _value(found["value"])
            return "", Statement(_subject(found["subject"]), found["key"], value, text, single=True)
    for verb in _VERBS:
        if (found := verb.pattern.match(said)) is not None:
            if is_doubtful(found["value"], found["subject"]):
                return None
            value = _value(found["value"])
            return found["subject"], Statement(_subject(found["subject"]), verb.key, value, text, verb.single)
    return None


def _subject(words: str) -> str:
    bare = re.sub(r"['\u2019]s$", "", words.strip())
    if bare.casefold() in {"i", "we", "my", "our"}:
        return USER
    return re.sub(r"^(?:the|this|my|our)\s", "", bare, flags=re.IGNORECASE)


def _value(words: str) -> str:
    """Without what follows a comma: it says something else."""
    return _VALUE_ENDS.split(_SAME.split(words)[0])[0].strip()[:200]
