"""What is searched: our own docs, a small Chinese guide, and the READMEs of packages that are installed anyway."""

import re
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from tests.architecture.tree import ROOT
from tests.eval_rag.questions import DATA, Place, Question

DOCS = ROOT / "docs"
CHINESE = DATA / "zh"

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*")
_FENCE = re.compile(r"[ \t]*(```|~~~)")
_PINNED = re.compile(r"([A-Za-z0-9._-]+)==")
_NO_TITLE = re.compile(r"\d+\.\d+|https?:|\]\(|<")
"""A heading that is a version, a link or HTML is nothing that somebody would ask for."""

MIN_README = 500
"""Letters."""
MIN_SECTION = 3
"""Lines."""


@dataclass(frozen=True, slots=True)
class Section:
    """The lines of a heading's own text, the heading's included, from 1, both ends included."""

    heading: str
    first: int
    last: int


def sections(text: str) -> list[Section]:
    """Of Markdown with `#` headings; inside a fence there are none."""
    lines = text.split("\n")
    found: list[tuple[str, int]] = []
    fenced = False
    for number, line in enumerate(lines, 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (match := _HEADING.fullmatch(line)):
            found.append((match[2], number))
    ends = [start - 1 for _, start in found[1:]] + [len(lines)]
    return [Section(heading, start, end) for (heading, start), end in zip(found, ends, strict=False)]


def missing(folder: Path, questions: list[Question]) -> list[str]:
    """The places that are not there any more, each with its question."""
    return [
        f"{question.text} => {place.path} > {place.heading}: {place.word}"
        for question in questions
        for place in question.places
        if not _is_there(folder, place)
    ]


def _is_there(folder: Path, place: Place) -> bool:
    path = folder / place.path
    if not path.is_file():
        return False
    text = path.read_text()
    own = (
        [text]
        if place.heading is None
        else [_text(text, one) for one in sections(text) if one.heading == place.heading]
    )
    return any(place.word is None or place.word in one for one in own)


def _text(text: str, section: Section) -> str:
    return "\n".join(text.split("\n")[section.first - 1 : section.last])


def write_readmes(folder: Path) -> None:
    """Those in Markdown, of the packages that are pinned: the same ones wherever this runs."""
    for name in _PINNED.findall((ROOT / "constraints.txt").read_text()):
        about = distribution(name).metadata.json
        text = str(about.get("description", ""))
        if "markdown" in about.get("description_content_type", "") and len(text) >= MIN_README:
            (folder / f"{name.lower()}.md").write_text(text)


def known_items(folder: Path) -> list[Question]:
    """Each heading that only one file has, as a question for its own section."""
    places: dict[str, list[tuple[Place, Section]]] = defaultdict(list)
    for path in sorted(folder.glob("*.md")):
        for section in sections(path.read_text()):
            plain = re.sub(r"\W+", " ", section.heading).strip().lower()
            places[plain].append((Place(path.name, section.heading), section))
    return [
        Question(found[0][1].heading, (found[0][0],))
        for plain, found in sorted(places.items())
        if len(found) == 1 and _is_asked_for(plain, found[0][1])
    ]


def _is_asked_for(plain: str, section: Section) -> bool:
    words = len(plain.split()) >= 2 and re.search("[a-z]{3}", plain) is not None
    return words and section.last - section.first >= MIN_SECTION and _NO_TITLE.search(section.heading) is None
