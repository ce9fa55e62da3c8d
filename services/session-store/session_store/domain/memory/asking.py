"""The words by which people ask to have something remembered: "remember that …", "make a note: …", "帮我记一下…"."""

import re
from typing import NamedTuple

_POLITE = (
    r"(?P<polite>(?:(?:please|just|and|also|so|(?:can|could|will|would) you|I(?:['\u2019]d| would) like you to"
    r"|I (?:want|need) you to|do|help me(?: to)?|make sure (?:to|you)|be sure to|let['\u2019]s)[\s,]{1,3}){0,4})"
)
_VERB = (
    r"remember|(?:don['\u2019]t|do not|never) (?:let me )?forget|(?:keep|bear)(?: (?:this|that|it))? in mind"
    r"|(?:make|take) a (?:mental )?note|note(?: (?:this|that|it))? down|memori[sz]e"
)
_NOTE = "note|for (?:future|later) reference|for the record"
"""People say it to those who read, too, and ask nobody to remember."""

_WRITE = r"(?:write|jot)(?: (?:this|that|it))? down"
_SAVE = r"(?:save|store|keep) (?:this|that|it)"
_MORE = r"(?:,?\s(?:this|that|it|please|also|too|for me|for later|for next time|for future reference)){0,3}"
_CLAUSE = (
    r"(?:(?:my|our|his|her|their|the|this|it|I|we|he|she|they|there)\b|(?-i:[A-Z]))[^\n]{0,80}?"
    r"(?:\b(?:is|are|am|was|were|has|have|had|can|can['\u2019]t|cannot|will|won['\u2019]t|must|should|needs?|likes?"
    r"|lives?|works?|goes|does|do|doesn['\u2019]t|don['\u2019]t)\b|['\u2019](?:s|re|m|ve|ll)\b)"
)
_ENGLISH = (
    rf"{_POLITE}(?:(?:{_VERB}){_MORE}(?:,?\s+(?:that|this)\b\s*(?::\s*)?|\s*[:,](?!\s*(?:however|though)\b)\s*|\s+(?={_CLAUSE}))"
    rf"|{_WRITE}{_MORE}(?:\s+that\b\s*(?::\s*)?|\s*:\s*)|{_SAVE}{_MORE}\s*:\s*"
    r"|remember\s+(?=(?:my|our|the|I|we)(?:\s\S{1,40}){2})"
    rf"|(?P<note>{_NOTE}){_MORE}(?:\s+that\b\s*(?::\s*)?|\s*:\s*|,?\s+(?={_CLAUSE})))"
)
_DO = (
    "(?:要|不要|得|请(?!记)|必须|不能|不得|告诉|叫|提醒|给|帮|把|带(?!宽)|买|打(?!印)|发(?![票色型])|去(?!年)|回|用(?!户)"
    "|写|做|检查|保存|先(?!生)|再)"
)
"""Behind "remember" or "don't forget": it is to be done, not to be known."""

_CHINESE = (
    "(?:那|还有|还要|还请|另外|顺便|同时|也)?(?P<able>(?:你)?(?:能不能|可不可以|能|可以))?"
    "(?:请|麻烦|帮我|帮忙|给我|替我|你|您|要|一定|千万|务必){0,4}"
    f"(?:(?:记住|记得|(?:别忘|不要忘)[了记]?)(?![了记]?[,，:：、\\s]{{0,3}}{_DO})"
    "|记下来|记下|记一下|记着|记好|写下来|存一下)了?[,，:：、]?[ \t]*"
)
_OPENING = (
    r"(?:(?:oh|ok|okay|hey|hi|hello|yes|no|well|but|then|now|thanks|thank you|by the way|btw|ps|fyi|actually"
    r"|(?:one more|another|one) thing)[,:!]?\s{1,3}){0,3}"
)
_REQUEST = re.compile(
    rf"(?:^[-*\u2022\d.)\s]{{0,6}}|[,，、\u2013\u2014]\s{{0,3}}|\s(?=(?:and|also|so|but|please)\s)|(?<=[\u4e00-\u9fff])\s)"
    rf"{_OPENING}(?:{_ENGLISH}|{_CHINESE})",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"(?:^|[,，\u2013\u2014]\s{{0,3}}|\s(?=(?:please|and|so)\s)){_OPENING}"
    rf"(?:{_POLITE}(?:(?:remember|memori[sz]e|(?P<note>note)|write down|make a note of"
    r"|(?:don['\u2019]t|do not|never) forget) (?:this|that|it)|(?:note|write|jot) (?:this|that|it) down"
    r"|(?:keep|bear) (?:this|that|it) in mind)(?:,?\s(?:for me|for later|for next time))?"
    rf"|{_CHINESE}(?:这个|这一?点|它|哦|啊|吧|了){{0,2}})$",
    re.IGNORECASE,
)
"""It asks to have remembered what was said right before it."""

_TAG = re.compile(
    r",?\s(?:ok|okay|alright|(?:will|would|can|could) you|please|thanks|thank you)$"
    "|[,，]?(?:好吗|可以吗|行吗|好不好|行不行|谢谢)$",
    re.IGNORECASE,
)
"""It makes a question of what is none."""


class Request(NamedTuple):
    """
    `politely`: it is a question only in its form, "could you remember that …?". `mildly`: it may as well be said to all
    who read, "note that …". `afterwards`: it stands behind what is to be remembered, which is the sentence before where
    nothing is `said`.
    """

    said: str
    politely: bool
    mildly: bool
    afterwards: bool = False


def requests(sentence: str) -> tuple[str, list[Request]]:
    """
    What stands before the first words that ask to have something remembered, and each thing they ask it of.

    Such words begin the sentence or a part of it: behind "I", "you" or "to" nobody is asked.
    """
    bare = _TAG.sub("", sentence)
    if (after := _AFTER.search(bare)) is not None:
        said = bare[: after.start()].strip()
        return "", [Request(said, bare != sentence or _is_polite(after), bool(after["note"]), afterwards=True)]
    found = list(_REQUEST.finditer(bare))
    if not found:
        return sentence, []
    ends = [*(match.start() for match in found[1:]), len(bare)]
    asked = [
        Request(said, bare != sentence or _is_polite(match), bool(match["note"]))
        for match, end in zip(found, ends, strict=True)
        if (said := bare[match.end() : end].strip(" \t,，、:：").removesuffix("吗"))
    ]
    return bare[: found[0].start()].strip(), asked


def _is_polite(request: re.Match[str]) -> bool:
    return "you" in (request["polite"] or "").casefold() or bool(request["able"])
