"""Turn the `[n]` of an answer into links to its sources, while the answer comes in pieces of any size."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_CITATION = re.compile(r"[\[\u3010] ?[0-9]{1,2}(?: ?[,\uff0c\u3001] ?[0-9]{1,2})* ?[\]\u3011]")
"""In Chinese answers with their own brackets and commas."""

_NUMBER = re.compile(r"[0-9]+")
_IN_BRACKET = frozenset("0123456789, \uff0c\u3001")
_OPENS = frozenset("[\u3010")
_CLOSES = frozenset("]\u3011")
_ENDS_ADDRESS = frozenset(" \t\r\n[`<>")
_LONGEST_BRACKET = 40
_LONGEST_ADDRESS = 500
_FENCE = 3
_LINK = re.compile(r"\[[0-9]{1,2}\]\([^()\s]*\)")
_SOURCES, _SOURCES_IN_CHINESE = "\n\nSources:", "\n\n\u6765\u6e90\uff1a"
_OPENING = ("[", " [", "\u3010", " \u3010")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of the text cite source `number`, counted from 1."""

    number: int
    start: int
    end: int


def uncited(text: str, places: Iterable[tuple[int, int]]) -> str:
    """
    An answer without the links of its citations, which stand at `places`, and without a line that names the sources.

    Their numbers meant the passages of then: an engine that reads them takes them for those of now.
    """
    told = text
    for start, end in sorted(places, reverse=True):
        if _LINK.fullmatch(told[start:end]):
            told = told[:start].removesuffix(" ") + told[end:]
    if told == text:
        return text
    return told.removesuffix(_SOURCES).removesuffix(_SOURCES_IN_CHINESE) or text


class Citer:
    """
    A state machine over characters, so that where the pieces are cut cannot matter.

    `[2]`, `[1, 2]` and `[2](an address the model made up)` become links to `urls`; an `[n]` without source goes, with
    the space before it. Code is left alone. Only what may still become a citation is held back.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._out: list[str] = []
        self._length = 0
        self._held = ""
        """Undecided: a space, an opening bracket with what follows, or the address behind a citation."""
        self._in_address = False
        self._follows_citation = False
        self._code = 0
        """How many backticks opened the code we are in."""
        self._ticks = 0
        self._last = ""
        self._in_chinese = False
        self.spans: list[Span] = []
        self.dropped = 0

    def feed(self, text: str) -> str:
        """The part of the answer that is certain now."""
        for char in text:
            self._take(char)
        return self._taken()

    def finish(self, *, with_sources: bool = False) -> str:
        """What was held back; and, where nothing was cited, a line that names the sources, if there is a text."""
        self._settle()
        if with_sources and self._length and not self.spans:
            self._name_sources()
        return self._taken()

    def _take(self, char: str) -> None:
        follows_citation, self._follows_citation = self._follows_citation, False
        if self._in_address:
            self._take_address(char)
        elif self._held.startswith(_OPENING):
            self._take_bracket(char)
        elif follows_citation and char == "(":
            self._in_address, self._held = True, char
        else:
            self._take_plain(char)

    def _take_plain(self, char: str) -> None:
        if char == "`":
            self._ticks += 1
        elif self._ticks:
            self._toggle_code()
        if char == "\n" and self._code < _FENCE:
            self._code = 0
        if char in _OPENS and not self._code and (self._held or self._last) != "\\":
            self._held += char
            return
        self._settle()
        if char == " " and not self._code:
            self._held = char
        else:
            self._emit(char)

    def _toggle_code(self) -> None:
        """A run of backticks has ended: it opens code, or closes what an equal run opened."""
        if not self._code:
            self._code = self._ticks
        elif self._ticks == self._code or self._ticks > self._code >= _FENCE:
            self._code = 0
        self._ticks = 0

    def _take_bracket(self, char: str) -> None:
        if char in _CLOSES and _CITATION.fullmatch(self._held.lstrip(" ") + char):
            self._cite()
        elif char in _IN_BRACKET and len(self._held) < _LONGEST_BRACKET:
            self._held += char
        else:
            self._settle()
            self._take(char)

    def _take_address(self, char: str) -> None:
        if char == ")":
            self._held, self._in_address = "", False
        elif char in _ENDS_ADDRESS or len(self._held) >= _LONGEST_ADDRESS:
            self._settle()
            self._take(char)
        else:
            self._held += char

    def _cite(self) -> None:
        space = " " if self._held.startswith(" ") else ""
        numbers = [int(found) for found in _NUMBER.findall(self._held)]
        self._held = ""
        known = [number for number in numbers if 1 <= number <= len(self._urls)]
        self.dropped += len(numbers) - len(known)
        if known:
            self._emit(space)
        for number in known:
            self._link(number)
        self._follows_citation = True

    def _link(self, number: int) -> None:
        start = self._length
        self._emit(f"[{number}]({self._urls[number - 1]})")
        self.spans.append(Span(number, start, self._length))

    def _name_sources(self) -> None:
        self._emit(_SOURCES_IN_CHINESE if self._in_chinese else _SOURCES)
        for url in dict.fromkeys(self._urls):
            self._emit(" ")
            self._link(self._urls.index(url) + 1)

    def _settle(self) -> None:
        """What was held is plain text after all."""
        held, self._held, self._in_address = self._held, "", False
        self._emit(held)

    def _emit(self, text: str) -> None:
        if text:
            self._out.append(text)
            self._length += len(text)
            self._last = text[-1]
            self._in_chinese = self._in_chinese or "\u4e00" <= self._last <= "\u9fff"

    def _taken(self) -> str:
        text = "".join(self._out)
        self._out.clear()
        return text
