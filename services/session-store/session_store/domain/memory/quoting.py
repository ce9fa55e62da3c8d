"""What of a message its writer says: without code, tables, quotations, mails of others, and texts to be worked on."""

import re

_FENCE = re.compile(r"\s{0,3}(?:```|~~~)")
_PASTED = re.compile(r" {4}|\t|\s{0,3}(?:[>|{}\[\]<#]|//|/\*|\*/|--\s|\$\s)|(?:To|Cc|Bcc|Sent|Date|Subject|Re)[:：]")
"""A line that begins like this is code, a table, a quotation or the head of a mail."""

_MAIL = re.compile(
    r"(?:On\s.{1,200}\swrote:|-{2,}\s?(?:Original|Forwarded) message\b.*|From:.*@.*|.{1,80}写道[:：]|发件人[:：].*)$",
    re.IGNORECASE,
)
"""From here on somebody else speaks."""

_SPEAKER = re.compile(
    r"(?!(?:remember|note|ps|fyi|btw|update|also)\b)(?:[A-Z][\w.]{0,20}(?:\s[A-Z][\w.]{0,20})?|[\u4e00-\u9fff]{1,6})[:：]",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"(?:^|[.!?\n。！？，]\s{0,3})(?:(?:please|can you|could you|now)\s|请|请你|帮我|麻烦){0,2}"
    r"(?:translate|correct|proofread|rewrite|rephrase|paraphrase|summari[sz]e|fix|edit|improve|polish|analy[sz]e|parse"
    r"|classify|review|shorten|翻译|改写|润色|总结|校对|纠正|修改|缩写)"
    r"(?:[^\n:：]{0,200}[:：]|[^\n]{0,200}?(?:\b(?:following|below|this|these)\b|下面|以下)[^\n]{0,100}\n)",
    re.IGNORECASE,
)
"""What follows this is a text to be worked on."""

_QUOTED = re.compile(
    '"[^"\n]{0,500}"|\u201c[^\u201d]{0,500}\u201d|\u300c[^\u300d]{0,500}\u300d|\u00ab[^\u00bb]{0,500}\u00bb|`[^`\n]{0,500}`'
)
_SENTENCES = re.compile(r"[.!?;](?:\s|.$)|[\n。！？；]")
"""What is quoted and holds the end of a sentence; a name in quotes does not."""


def own_words(text: str) -> str:
    """What is left out ends the sentence that it stands in, as the end of a line does."""
    said = "\n".join(_own_lines(text))
    if (task := _TASK.search(said)) is not None:
        said = said[: task.end()]
    return _QUOTED.sub(lambda found: "\n" if _SENTENCES.search(found.group()) else found.group(), said)


def _own_lines(text: str) -> list[str]:
    lines = text.split("\n")
    is_talk = sum(_SPEAKER.match(line) is not None for line in lines) > 1
    own: list[str] = []
    is_code = False
    for line in lines:
        if _MAIL.match(line):
            break
        if _FENCE.match(line):
            is_code = not is_code
        elif not (is_code or _PASTED.match(line) or (is_talk and _SPEAKER.match(line))):
            own.append(line)
    return own
