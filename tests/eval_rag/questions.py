"""The questions of the evaluation, and where their answers stand: read from files made to be read by people too."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Place:
    """A section of a file, by its own heading, or all of the file; `word` must stand in the passage, where given."""

    path: str
    heading: str | None = None
    word: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Any of `places` answers it; without any it has no answer."""

    text: str
    places: tuple[Place, ...] = ()


def read(name: str) -> list[Question]:
    """The file of this name: `question => path > heading: word | another place`, one a line."""
    lines = (DATA / name).read_text().splitlines()
    return [_question(line) for line in lines if line.strip() and not line.startswith("#")]


def _question(line: str) -> Question:
    text, _, places = line.partition(" => ")
    return Question(text.strip(), tuple(_places(places)))


def _places(text: str) -> Iterator[Place]:
    for one in filter(None, text.split(" | ")):
        path, _, rest = one.strip().partition(" > ")
        heading, _, word = rest.partition(": ")
        yield Place(path, heading or None, word or None)
