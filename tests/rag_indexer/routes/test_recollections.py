"""Turns kept and found again, over a real socket and real Edge, with the encoder that users have."""

import io
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.adapters.edge_recollections import edge_recollections
from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from rag_indexer.domain.recollections import Recollections
from tests.fakes.bad_bodies import BAD_BODIES, HUGE_BODY
from tests.rag_indexer.parts import NoRecollections, WordTerms, edge_desk

SAID = [
    "My sister Ingrid is a carpenter in Bergen.",
    "The invoice was paid in March.",
    "I am allergic to peanuts.",
    "我的狗叫旺财,今年五岁。",
    "Let us talk about the weather instead.",
]


@pytest.fixture
async def http(tmp_path: Path) -> AsyncGenerator[aiohttp.ClientSession]:
    encoder = WordllamaEncoder()
    async with (
        edge_recollections(tmp_path / "m", fingerprint="f", dimensions=await encoder.dimensions()) as store,
        edge_desk(tmp_path) as desk,
    ):
        recollections = Recollections(store=store, encoder=encoder, terms=Bm25Terms())
        async with desk.served(recollections) as url, aiohttp.ClientSession(url) as client:
            yield client


async def post(http: aiohttp.ClientSession, path: str, **body: object) -> tuple[int, Any]:
    async with http.post(path, json={"owner": "local", "session_id": "s1", **body}) as response:
        return response.status, await response.json()


async def said(http: aiohttp.ClientSession, *texts: str, **who: str) -> tuple[int, Any]:
    items = [{"id": f"m{n}", "text": text, "at": 100.0 + n, "position": 2 * n} for n, text in enumerate(texts)]
    return await post(http, "/internal/memory", items=items, **who)


@pytest.mark.parametrize(
    ("question", "number"),
    [
        ("What does my sister do for a living?", 0),
        ("When did we pay the bill?", 1),
        ("Which nuts must I not eat?", 2),
        ("我的狗几岁了?", 3),
    ],
)
@pytest.mark.slow
async def test_a_question_in_other_words_finds_what_was_said(
    http: aiohttp.ClientSession, question: str, number: int
) -> None:
    stored = await said(http, *SAID)
    _, found = await post(http, "/internal/memory/search", query=question, top_k=2)
    best = found["hits"][0]

    assert stored == (200, {"stored": 5})
    assert (best["id"], best["text"], best["at"], best["position"]) == (
        f"m{number}",
        SAID[number],
        100.0 + number,
        2 * number,
    )
    assert 0 < found["hits"][1]["score"] <= best["score"] <= 1


async def test_another_owners_and_another_sessions_are_never_found(http: aiohttp.ClientSession) -> None:
    await said(http, *SAID)

    for who in ({"owner": "mallory"}, {"session_id": "s2"}):
        assert await post(http, "/internal/memory/search", query=SAID[0], **who) == (200, {"hits": []})
        assert await post(http, "/internal/memory/delete", **who) == (200, {"removed": 0})


async def test_only_what_stands_in_the_ranges_asked_for_is_found(http: aiohttp.ClientSession) -> None:
    await said(http, *SAID)
    _, found = await post(http, "/internal/memory/search", query=SAID[0], within=[[2, 4], [6, 7]])

    assert sorted(hit["position"] for hit in found["hits"]) == [2, 6]


@pytest.mark.parametrize("within", [[], [[0]], [[-1, 2]], [[0, 10**400]], [[0, 1]] * 201])
async def test_ranges_that_cannot_be_are_refused(http: aiohttp.ClientSession, within: list[list[int]]) -> None:
    status, _ = await post(http, "/internal/memory/search", query="text", within=within)

    assert status == 400


async def test_some_are_forgotten_by_id_and_then_the_session_whole(http: aiohttp.ClientSession) -> None:
    await said(http, *SAID)

    assert await post(http, "/internal/memory/delete", ids=["m0"]) == (200, {"removed": 1})
    assert await post(http, "/internal/memory/delete") == (200, {"removed": 4})
    assert await post(http, "/internal/memory/search", query=SAID[0]) == (200, {"hits": []})


async def test_a_question_without_a_known_word_is_answered(http: aiohttp.ClientSession) -> None:
    await said(http, *SAID)
    status, found = await post(http, "/internal/memory/search", query="  ?! ")

    assert (status, max(hit["score"] for hit in found["hits"]) < 0.2) == (200, True)


@pytest.mark.parametrize("who", [{"owner": "a/b"}, {"owner": ""}, {"session_id": "a/b"}, {"session_id": ".."}])
async def test_a_tenant_that_could_be_another_one_is_refused(http: aiohttp.ClientSession, who: dict[str, str]) -> None:
    answers = [
        await said(http, "text", **who),
        await post(http, "/internal/memory/search", query="text", **who),
        await post(http, "/internal/memory/delete", **who),
    ]

    assert [(status, body["error"]["param"]) for status, body in answers] == [(400, next(iter(who)))] * 3


@pytest.mark.parametrize("path", ["/internal/memory", "/internal/memory/search", "/internal/memory/delete"])
async def test_bad_bodies_are_refused(http: aiohttp.ClientSession, path: str) -> None:
    told: dict[str, int] = {}
    for name, body in {**BAD_BODIES, "huge": HUGE_BODY}.items():
        async with http.post(path, data=io.BytesIO(body), headers={"content-type": "application/json"}) as response:
            told[name] = response.status
            assert "error" in await response.json()

    assert told == {**dict.fromkeys(BAD_BODIES, 400), "huge": 413}


async def test_words_that_only_frame_a_question_do_not_raise_a_score() -> None:
    recollections = Recollections(store=NoRecollections(), encoder=WordllamaEncoder(), terms=WordTerms())

    assert recollections._coverage(frozenset(), []) == 0.0
