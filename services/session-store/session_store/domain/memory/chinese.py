"""What a Chinese sentence says: a subject, a verb of the table and the rest of each clause, and whether it is over."""

import re
from dataclasses import replace

from session_store.domain.memory.clauses import CLAUSES_AT_MOST, clauses
from session_store.domain.memory.doubting import governs_chinese, is_conditional, is_doubtful_chinese
from session_store.domain.memory.notes import USER, Statement

_WHO = (
    "(?P<subject>我们|我|[\u4e00-\u9fffA-Za-z0-9·]{1,12}?)"
    "(?:也|还|都|一直|真的|其实|平时|经常|常常|特别|很|非常|已经|目前|最近|主要|现在){0,2}(?<![不没别记的])"
)
_WHAT = "(?P<value>[^,，、]{1,60})"
_VERBS = (
    (re.compile(f"^(?P<subject>我们|我)的(?P<key>[^,，的]{{1,12}}?)(?<![不没别])(?:是|叫|在){_WHAT}$"), "", True),
    (re.compile(f"^{_WHO}(?:的)?(?:老家|家乡|祖籍)(?:是|在){_WHAT}$"), "来自", True),
    (
        re.compile(f"^{_WHO}(?:住在|(?<![抓站停保挡拦忍坐稳卡])住(?![了不院进的])|搬到了?|搬去了?){_WHAT}$"),
        "住在",
        True,
    ),
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
_OPENING = re.compile("^(?:请|顺便说一下|另外|还有|对了|其实|注意|我记得|我觉得)*[,，:：]?")
_OVER = re.compile("(?P<who>[^不]{1,14}?)(?:再也|早就)?不(?:再(?P<again>.+?)|(?P<more>[^不]+))了?$")
"""And 了 must end it where 再 is not there: "我不住在上海了"."""


def said_in_chinese(said: str) -> list[Statement]:
    """Up to the first part that tells what somebody says or thinks, when it was, or under which condition."""
    found: list[Statement] = []
    for part in re.split("[,，]", said)[: 2 * CLAUSES_AT_MOST]:
        if governs_chinese(part) or is_conditional(part):
            break
        for clause in clauses(part)[:CLAUSES_AT_MOST]:
            if (told := _clause(_OPENING.sub("", clause.strip(), count=1), said)) is None:
                break
            found.append(told)
    return found


def _clause(said: str, text: str) -> Statement | None:
    over = _OVER.match(said)
    if over is None or not (over["again"] or said.endswith("了")):
        return _plain(said, text)
    was = _plain(over["who"] + (over["again"] or over["more"].removesuffix("了")), text)
    return replace(was, is_over=True) if was else None


def _plain(said: str, text: str) -> Statement | None:
    for pattern, key, single in _VERBS:
        if (found := pattern.match(said)) is not None:
            value = _value(found["value"])
            if is_doubtful_chinese(value, found["subject"]):
                return None
            return Statement(_subject(found["subject"]), key or found["key"], value, text, single)
    return None


def _subject(words: str) -> str:
    return re.sub("^(?:我们|我)", "", words.strip()) or USER


def _value(words: str) -> str:
    """Without 了, which says that it is so now."""
    value = words.strip()
    return value.removesuffix("了").strip() or value
