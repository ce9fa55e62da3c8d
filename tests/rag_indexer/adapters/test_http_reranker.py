"""A second look by a reranking engine, in each of the dialects, over a real socket."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from rag_indexer.adapters.http_reranker import http_reranker
from rag_indexer.domain.reranking import RerankerAway
from tests.fakes.cluster import free_port, stopped

TEXTS = ["one", "two", "three"]
BEST_LAST = [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}, {"index": 1, "score": 0.1}]


class Server:
    def __init__(self, answer: Any, *, status: int = 200, wants: str = "documents") -> None:
        self.answer = answer
        self.status = status
        self.wants = wants
        self.url = ""
        self.bodies: list[dict[str, Any]] = []

    async def rerank(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        if self.wants not in body:
            return web.json_response({"error": f"missing field `{self.wants}`"}, status=422)
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def serving(answer: Any, *, status: int = 200, wants: str = "documents") -> AsyncGenerator[Server]:
    server = Server(answer, status=status, wants=wants)
    app = web.Application()
    app.router.add_post("/rerank", server.rerank)
    app.router.add_post("/v1/rerank", server.rerank)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.url = f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        await stopped(runner)


@pytest.mark.parametrize("path", ["", "/", "/rerank", "/v1/rerank", "/v1"])
async def test_scores_come_in_the_order_of_the_texts(path: str) -> None:
    async with (
        serving({"results": BEST_LAST}) as server,
        http_reranker(server.url + path, "cross", seconds=5) as reranker,
    ):
        assert await reranker.relevance("q", TEXTS) == [0.2, 0.1, 0.9]

    assert server.bodies == [{"query": "q", "documents": TEXTS, "model": "cross"}]


async def test_an_engine_that_wants_texts_gets_them_from_then_on() -> None:
    answer = [{"index": number, "score": 0.5} for number in range(3)]
    async with (
        serving(answer, wants="texts") as server,
        http_reranker(server.url, "", seconds=5) as reranker,
    ):
        assert await reranker.relevance("q", TEXTS) == [0.5] * 3
        await reranker.relevance("q", TEXTS)

    assert [sorted(body) for body in server.bodies] == [["documents", "query"], ["query", "texts"], ["query", "texts"]]


async def test_logits_become_scores_up_to_one_in_the_same_order() -> None:
    answer = {"results": [{"index": n, "relevance_score": s} for n, s in enumerate([-900.0, 3.0, 900.0])]}
    async with serving(answer) as server, http_reranker(server.url, "", seconds=5) as reranker:
        scores = await reranker.relevance("q", TEXTS)

    assert scores == sorted(scores)
    assert 0 <= scores[0] < scores[1] < scores[2] <= 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"results": []}, 200),
        ({"results": [{"index": 0}, {"index": 1}, {"index": 2}]}, 200),
        ({"results": [*BEST_LAST[:2], {"index": 7, "score": 0.1}]}, 200),
        ({"scores": [1, 2, 3]}, 200),
        ("<html>", 200),
        ({"error": "no such model"}, 404),
        ({"error": "busy"}, 503),
    ],
)
async def test_what_is_no_score_for_each_text_is_a_reranker_that_is_away(answer: Any, status: int) -> None:
    async with serving(answer, status=status) as server, http_reranker(server.url, "", seconds=5) as reranker:
        with pytest.raises(RerankerAway, match="answered"):
            await reranker.relevance("q", TEXTS)


async def test_nobody_at_the_address_is_a_reranker_that_is_away() -> None:
    async with http_reranker(f"http://127.0.0.1:{free_port()}", "", seconds=5) as reranker:
        with pytest.raises(RerankerAway, match="no answer"):
            await reranker.relevance("q", TEXTS)
