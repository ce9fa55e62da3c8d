"""Which relations bear on a question: from the things it names, to what stands within two steps of them."""

import math
from collections import defaultdict
from collections.abc import Sequence

from session_store.domain.memory.notes import USER, Edge
from session_store.domain.memory.words import likeness, words

STEPS = 2
FADING = 0.5
"""What a step away costs."""

OF_THE_USER = 0.3
"""How much the person who asks counts as named: nearly everything is said of that person."""

WORTH = 0.25

_CUES = {
    "lives in": "home live reside city town address house",
    "works at": "job employer company office work employed",
    "works as": "job profession occupation work living career",
    "works on": "project task job",
    "is allergic to": "allergy allergic avoid eat food reaction",
    "is married to": "husband wife spouse married partner",
    "is called": "name called",
    "is": "job profession occupation",
    "goes to": "school university class gym church attend",
    "is from": "come origin country native from home",
    "was born": "birth birthday birthplace born old age",
    "is in": "where located location place",
    "runs on": "platform host port server deployed",
    "depends on": "need require dependency",
    "belongs to": "owner part",
    "reports to": "boss manager supervisor",
    "leads": "lead manager head charge responsible own",
    "uses": "use tool software favourite favorite which",
    "drives": "car vehicle drive",
    "plays": "play instrument sport game hobby",
    "speaks": "speak language tongue fluent",
    "studies": "study subject course degree university learn language",
    "prefers": "prefer preference favourite favorite like rather",
    "likes": "like love enjoy favourite favorite fond",
    "dislikes": "hate dislike stand avoid",
    "costs": "cost price pay expensive much",
    "has": "have own pet",
    "住在": "住家住址地址城市",
    "工作于": "工作公司上班单位职业",
    "职业": "职业工作职位当做",
    "就读于": "上学读书念书大学学校城市",
    "负责": "负责管主管",
    "来自": "来自 家乡 老家 国家 人",
    "出生于": "出生生日出生地",
    "过敏于": "过敏不能吃避免",
    "喜欢": "喜欢爱好爱",
    "讨厌": "讨厌不喜欢",
    "使用": "使用用工具",
    "有": "有养",
    "名叫": "叫名字",
}
"""Words that ask for a relation without naming it."""


def bearing(question: str, edges: Sequence[Edge]) -> list[tuple[Edge, float]]:
    """
    The open edges worth telling, best first, each with a score from 0 to 1.

    An edge counts by how near a named thing is and by how much of the question its words answer; of equals the newest
    and strongest comes first. Edges are given newest first.
    """
    standing = [edge for edge in edges if edge.closed_us is None]
    if not standing:
        return []
    asked = words(question)
    near = _nearness(asked, question, standing)
    said = likeness(asked, [_said(edge) for edge in standing])
    found = [
        (edge, 0.45 * near[index] + 0.45 * said[index] + _lasting(edge, index, len(standing)))
        for index, edge in enumerate(standing)
        if near[index] > OF_THE_USER or said[index] > 0
    ]
    ranked = sorted(found, key=lambda pair: -pair[1])
    return [(edge, min(1.0, score)) for edge, score in ranked if score >= WORTH * ranked[0][1]]


def _nearness(asked: Sequence[str], question: str, edges: Sequence[Edge]) -> list[float]:
    """How near each edge is to a thing named, from 0 to 1."""
    names = sorted({name for edge in edges for name in _ends(edge)})
    named = dict(zip(names, likeness(asked, [words(name) for name in names]), strict=True))
    reached = {name: min(1.0, 2 * score) for name, score in named.items() if score > 0}
    if (
        set(question.casefold().replace("?", " ").replace("'", " ").split()) & {"i", "my", "me", "we", "our"}
        or "我" in question
    ):
        reached[USER] = max(reached.get(USER, 0.0), OF_THE_USER)
    touching: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        for name in _ends(edge):
            touching[name].append(edge)
    for _ in range(STEPS - 1):
        for name, score in list(reached.items()):
            for edge in touching[name]:
                for other in _ends(edge):
                    # Everything is two steps from everything through the person who talks.
                    if USER not in {other, name}:
                        reached[other] = max(reached.get(other, 0.0), score * FADING)
    return [max(reached.get(name, 0.0) for name in _ends(edge)) for edge in edges]


def _ends(edge: Edge) -> tuple[str, str]:
    return edge.note.subject.casefold(), edge.note.value.casefold()


def _said(edge: Edge) -> Sequence[str]:
    note = edge.note
    return words(f"{note.subject} {note.key} {note.value} {note.text} {_CUES.get(note.key, '')}")


def _lasting(edge: Edge, index: int, number: int) -> float:
    """A tenth at most: newer by its place, stronger by how often it was said."""
    return 0.05 * (1 - index / number) + 0.05 * min(1.0, math.log2(edge.strength) / 3)
