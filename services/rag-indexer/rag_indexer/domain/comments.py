"""Take HTML comments out of Markdown: they are for who writes a text, not for who reads it."""

import re
from bisect import bisect_left
from collections.abc import Sequence

_TICKS = re.compile(r"(?<!`)`+(?!`)")


def without(lines: Sequence[str], *, code_spans: bool) -> list[str]:
    """
    The lines of one block without the comments that end in it; as many lines as before, some of them now empty.

    With `code_spans` what stands between backticks is left alone, as Markdown does.
    """
    text = "\n".join(lines)
    spans = _spans(text) if code_spans else []
    kept: list[str] = []
    at = 0
    bare = True  # nothing has been kept of the line so far but spaces
    while (start := text.find("<!--", at)) >= 0:
        span = _around(spans, start)
        end = span[1] if span else text.find("-->", start + 2) + 3
        if end < 3:
            break
        kept.append(text[at:end] if span else text[at:start] + "\n" * text.count("\n", start, end))
        _, newline, tail = kept[-1].rpartition("\n")
        bare = (bare or bool(newline)) and not tail.strip()
        at = end
        if bare and not span:
            # Spaces left in front would make what follows an indented code block.
            at += len(text[at : at + 80]) - len(text[at : at + 80].lstrip(" \t"))
    kept.append(text[at:])
    cleaned = "".join(kept).split("\n")
    return [new if new == old else new.rstrip() for new, old in zip(cleaned, lines, strict=True)]


def _spans(text: str) -> list[tuple[int, int]]:
    """Where code spans begin and end: a run of backticks up to the next one just as long."""
    runs = [match.span() for match in _TICKS.finditer(text)]
    by_length: dict[int, list[int]] = {}
    for start, end in runs:
        by_length.setdefault(end - start, []).append(start)
    found: list[tuple[int, int]] = []
    at = 0
    for start, end in runs:
        same = by_length[end - start]
        closer = bisect_left(same, end)
        if start >= at and closer < len(same):
            at = same[closer] + end - start
            found.append((start, at))
    return found


def _around(spans: Sequence[tuple[int, int]], place: int) -> tuple[int, int] | None:
    number = bisect_left(spans, (place, place)) - 1
    return spans[number] if number >= 0 and spans[number][1] > place else None
