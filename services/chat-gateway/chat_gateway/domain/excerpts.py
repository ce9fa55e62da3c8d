"""Write passages into a prompt as data: every line of theirs is quoted, and none holds what an engine could obey."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from chat_gateway.domain.counting import tokens_of_text
from sage_contracts.index import Passage

_SHORTEST_TOKENS = 40
"""A passage cut below this tells nothing."""

_LONGEST_NAME = 300
_LONGEST_WORD = 40

_CONTROL = re.compile(
    r"(?P<open><)(?=/?[|\uff5c])"
    r"|(?P<bar>[|\uff5c])(?=>)"
    r"|(?P<tag><)(?=/?(?:s|bos|eos|pad|unk|system|user|assistant|start_of_turn|end_of_turn|think|tool_call)>)"
    r"|(?P<bracket>\[)(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\])"
    r"|(?P<angles><)(?=</?SYS>>)",
    re.IGNORECASE,
)
"""Where the marks begin, or end, by which engines know whose turn it is: `<|im_start|>`, `[INST]`, `</s>` and so on."""

_HIDDEN = re.compile(r"[\u202a-\u202e\u2060\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
"""Characters that a reader of the document never sees, and a model does."""


def excerpts(passages: Sequence[Passage]) -> str:
    return "\n\n".join(excerpt(number, passage) for number, passage in enumerate(passages, 1))


def excerpt(number: int, passage: Passage) -> str:
    """The number is ours; what is quoted under it begins with the source's name: a document chooses that as well."""
    return f"[{number}]\n" + quoted([_name(passage), *passage.text.splitlines()])


def quoted(lines: Iterable[str]) -> str:
    """
    Every line behind a `>`, so that none can pass for one of ours.

    Marks of chat templates are broken by a space: engines look for them in the whole prompt, whoever wrote them.
    """
    shown = _HIDDEN.sub("", "\n".join(f"> {line}" for line in lines))
    return _CONTROL.sub(_broken, shown)


def within(passages: Sequence[Passage], budget_tokens: int) -> list[Passage]:
    """The best passages that fit together; the first that does not is cut, and ends the list."""
    kept: list[Passage] = []
    left = budget_tokens
    for passage in passages:
        needed = tokens_of_text(excerpt(1, passage))
        if needed <= left:
            kept.append(passage)
            left -= needed
            continue
        if left >= _SHORTEST_TOKENS:
            kept.append(_cut(passage, share=left / needed))
        break
    return kept


def _name(passage: Passage) -> str:
    source = passage.source
    page = "" if source.page is None else f"page {source.page}"
    parts = dict.fromkeys(part for part in (source.path, source.heading or source.title, page) if part)
    name = " ".join(" - ".join(parts).split())
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + " …"


def _broken(mark: re.Match[str]) -> str:
    return f"{mark.group()} "


def _cut(passage: Passage, share: float) -> Passage:
    """Not within a word, where there are words."""
    text = passage.text[: int(len(passage.text) * share)]
    head, _, last = text.rpartition(" ")
    kept = head if head and len(last) <= _LONGEST_WORD else text
    return msgspec.structs.replace(passage, text=kept.rstrip() + " …")
