"""What looks like a statement and may not be so: denied, wished, supposed, said of somebody who is not named."""

import re

_DOUBTED = re.compile(
    r"n['\u2019]t\b|\bto$|^(?:[Tt]he |[Tt]his )?[Uu]ser$|\b(?:not|never|no|nor|neither|hardly"
    r"|will|would|could|should|might|may|must|can|shall|used|sa(?:id|ys?)|thinks?|thought|t(?:old|ells?)|believes?|claims?"
    r"|hopes?|wish(?:es)?|wants?|wanted|wonders?|asks?|asked|knows?|who|whom|whose|which|that|when|where|while|if|whether"
    r"|because|although|as|he|she|they|I|you|we|is|are|was|were|has|have|had|does|do|did)\b"
)
"""In a subject or a key: the verb that was found belongs to a part of the sentence."""

_DENIED = re.compile(
    r"(?:[Nn]ot|no|never|neither|none|nothing|nobody|maybe|perhaps|probably|possibly|hardly|barely|supposedly|nearly|almost"
    r"|allegedly|your|(?:been|had|gone|done|seen|made|tried|already|just)(?=\s))\b"
    r"|[\[{<]|\$(?!\d)|\.\.|(?:it|this|that|them|him|her|you|me)$|.*\s(?:if|unless)\s"
)
_SUPPOSES = re.compile(
    r"(?:(?:please|now|ok|okay|so|and|let['\u2019]?s|let us|can you|could you|can we|(?:in|for) this \w+),?\s){0,4}"
    r"(?:pretend|imagine|suppose|assume|assuming|role-?play|let['\u2019]?s play"
    r"|(?:act|behave|talk|speak) (?:as (?:if|though)|like)|you(?: are|['\u2019]re) now"
    r"|say(?=,?\s(?:that\s)?(?:my|I|we)\b))\b"
    "|(?:请|请你|我们|现在)?(?:假装|假设|假如|假定|想象|扮演|设想)",
    re.IGNORECASE,
)
_IF = re.compile(
    r"(?:(?:even|only|what|as)\s)?(?:if|unless|in case)\b|如果|要是|假如|万一|即使|倘若|除非|假使", re.IGNORECASE
)
_NOBODY = re.compile(
    "[他她它你您谁某不没未跟和]|(?:另?一个|这|那|这个|那个|大家|有的|有些)$|今天|明天|昨天|后天|现在|目前|有人|假|据说|听说|可能|也许|或许|大概|估计|好像|似乎|所有|任何|.+[我他她它你您]"
)
_NOT_NOW = re.compile(
    "(?:以前|曾经?|从前|小时候|过去|本来|原来|将来|以后|去年|前年|上个?月|上周|想要?|要|可能|从来?|从小|[不没别再该]|没有|打算|觉得"
    "|认为|也许|大概|差点|希望|愿意|可以|听说|翻译|(?<![学委协工小传功性技智生员])[会能说])$"
)
"""Before the verb, where the rules take it for the end of the subject."""

_GOVERNS = re.compile(
    r"\b(?:if|unless|when|while|because|although|though|whether|that|who|which|whose|sa(?:id|ys?)|thinks?|thought|t(?:old|ells?)"
    r"|believes?|claims?|asks?|asked|hopes?|wish(?:es)?|pretend|imagine)\b"
)
_GOVERNS_CHINESE = re.compile(
    "(?:说|问|写道|以为|认为)[:：]?\\s*$"
    "|(?:以前|曾经|从前|小时候|过去|本来|原来|将来|以后|[去前明]年|[上下]个?月|[上下]周|当时|那时候?)$"
)
_ANYBODY = re.compile("[你我他她它您]们?$|不是")


def supposes(sentence: str) -> bool:
    """What comes after it may be so only in what is supposed or played."""
    return _SUPPOSES.match(sentence) is not None


def is_conditional(sentence: str) -> bool:
    return _IF.match(sentence) is not None


def governs(clause: str) -> bool:
    """What comes after it in its sentence may be said under its condition, or by somebody else."""
    return _GOVERNS.search(clause) is not None


def governs_chinese(part: str) -> bool:
    """As `governs`, or not of now."""
    return _GOVERNS_CHINESE.search(part) is not None


def is_doubtful(value: str, *words: str) -> bool:
    """`words` are what the value is said of: the subject, and the key where the sentence has one."""
    return _DENIED.match(value) is not None or any(_DOUBTED.search(one) is not None for one in words if one != "I")


def is_doubtful_chinese(value: str, subject: str) -> bool:
    said_of = re.sub("^(?:我们|我)", "", subject)
    return any((_ANYBODY.match(value), _NOBODY.match(said_of), _NOT_NOW.search(said_of)))
