"""Markdown that reads, to a search engine, like documentation: the same files for the same numbers, on every machine."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_ONSETS = [
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "qu",
    "r",
    "s",
    "sh",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ou"]
_CODAS = ["", "l", "n", "r", "s", "t", "nd", "st", "ck"]
_NAMES = 20_000
_PER_FILE = 100
"""Files a folder."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """`section_words` sets how long a passage becomes; the rest follows from `seed`."""

    files: int
    bytes_a_file: int
    section_words: int = 220
    seed: int = 5

    def write(self, folder: Path) -> int:
        """Returns how many bytes there are."""
        words, written = _Words(self.seed), 0
        for number in range(self.files):
            path = folder / name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            written += path.write_bytes(self._text(number, words).encode())
        return written

    def change(self, folder: Path, numbers: Iterable[int]) -> None:
        """A sentence in the middle of these files becomes another one."""
        for number in numbers:
            path = folder / name(number)
            lines = path.read_text().splitlines(keepends=True)
            lines.insert(len(lines) // 2, f"\nThis paragraph of file {number} was written later.\n\n")
            path.write_text("".join(lines))

    def questions(self, count: int) -> list[str]:
        """Words that stand together in some document, the rare one at the end included: each has its answer."""
        words, chance = _Words(self.seed), random.Random(self.seed + 1)
        found: list[str] = []
        while len(found) < count:
            sentences = re.findall(r"[A-Z][a-z ]{30,}\.", self._text(chance.randrange(self.files), words))
            found += [" ".join(one.rstrip(".").split()[-chance.randint(4, 9) :]) for one in chance.sample(sentences, 4)]
        return found[:count]

    def _text(self, number: int, words: "_Words") -> str:
        chance = random.Random(self.seed * 1_000_003 + number)
        parts, length, section = [f"# {words.title(chance)}\n\n"], 0, 0
        while length < self.bytes_a_file:
            section += 1
            level = "##" if section % 3 else "###"
            part = f"{level} {words.title(chance)}\n\n{self._body(chance, words, section)}\n"
            parts.append(part)
            length += len(part)
        return "".join(parts)

    def _body(self, chance: random.Random, words: "_Words", section: int) -> str:
        half = self.section_words // 2
        paragraphs = f"{words.paragraph(chance, half)}\n\n"
        match section % 4:
            case 0:
                code = "\n".join(
                    f"    {words.rare(chance)} = {words.rare(chance)}({chance.random():.3f})" for _ in "1234"
                )
                return f"{paragraphs}```python\ndef {words.rare(chance)}():\n{code}\n```\n\n{words.paragraph(chance, half)}\n"
            case 1:
                rows = "\n".join(
                    f"| {words.rare(chance)} | {words.one(chance)} | {chance.random():.2f} |" for _ in "123456"
                )
                return (
                    f"{paragraphs}| name | kind | value |\n|---|---|---|\n{rows}\n\n{words.paragraph(chance, half)}\n"
                )
            case _:
                return f"{paragraphs}{words.paragraph(chance, half)}\n"


def name(number: int) -> str:
    return f"part-{number // _PER_FILE:03}/page-{number:05}.md"


class _Words:
    """English words as often as they come in Python's own manual, and made-up names, each as rare as any other."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        manual: dict[str, str] = import_module("pydoc_data.topics").topics
        self._words: list[str] = [
            word.lower() for text in manual.values() for word in re.findall(r"[A-Za-z]{2,}|\ba\b", text)
        ]
        names: dict[str, None] = {}
        while len(names) < _NAMES:
            syllables = [chance.choice(_ONSETS) + chance.choice(_VOWELS) + chance.choice(_CODAS) for _ in range(3)]
            names["".join(syllables[: chance.choice((2, 3))])] = None
        self._names = list(names)

    def one(self, chance: random.Random) -> str:
        return chance.choice(self._words)

    def rare(self, chance: random.Random) -> str:
        return chance.choice(self._names)

    def title(self, chance: random.Random) -> str:
        return f"{self.rare(chance).capitalize()} {self.one(chance)} {self.rare(chance)}"

    def paragraph(self, chance: random.Random, length: int) -> str:
        found: list[str] = []
        while len(found) < length:
            sentence = [self.one(chance) for _ in range(chance.randint(6, 22))]
            found += [sentence[0].capitalize(), *sentence[1:-1], self.rare(chance) + "."]
        return " ".join(found)
