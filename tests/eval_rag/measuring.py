"""How good the passages are that a search gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sage_contracts.index import Passage
from tests.eval_rag.corpora import Section
from tests.eval_rag.questions import Place, Question

RANKED = 10
GIVEN = 5
"""As many as a prompt is given."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether each passage given, best first, is right."""

    right: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """
    `mrr`: the mean of 1 / the rank of the first right passage of ten; 0 where none is. `recall`: how many questions have
    a right one among five. `precision`: how many of the passages given, five at most, are right. `answered`: how many
    questions were given any. All from 0 to 1.
    """

    mrr: float
    recall: float
    precision: float
    answered: float


def figures(answers: Sequence[Answer]) -> Figures:
    asked = len(answers)
    given = [flag for answer in answers for flag in answer.right[:GIVEN]]
    return Figures(
        mrr=sum(map(_reciprocal_rank, answers)) / asked,
        recall=sum(any(answer.right[:GIVEN]) for answer in answers) / asked,
        precision=sum(given) / len(given) if given else 0.0,
        answered=sum(bool(answer.right) for answer in answers) / asked,
    )


def judged(question: Question, passages: Sequence[Passage], sections: Callable[[str], Sequence[Section]]) -> Answer:
    return Answer(tuple(any(_answers(place, passage, sections) for place in question.places) for passage in passages))


def _answers(place: Place, passage: Passage, sections: Callable[[str], Sequence[Section]]) -> bool:
    if passage.source.path != place.path or (place.word is not None and place.word not in passage.text):
        return False
    if place.heading is None:
        return True
    first, last = passage.source.lines
    return any(
        section.heading == place.heading and first <= section.last and last >= section.first
        for section in sections(place.path)
    )


def _reciprocal_rank(answer: Answer) -> float:
    ranks = (rank for rank, flag in enumerate(answer.right[:RANKED], 1) if flag)
    return next((1 / rank for rank in ranks), 0.0)
