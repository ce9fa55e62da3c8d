"""Finding passages, over a real socket and real Edge, with the encoder that users have."""

import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from rag_indexer.domain.ports import Kind
from rag_indexer.domain.reranking import RerankerAway
from rag_indexer.domain.searches import Searches
from rag_indexer.domain.uploads import NewUpload
from sage_contracts import index as wire
from sage_contracts.errors import EncoderAway
from tests.rag_indexer.parts import Desk, WordsEncoder, edge_desk, written

FILES = {
    "operations.md": """---
title: Running the gateway
---
# Operations

## Starting

`sage gateway start` starts nginx, Valkey, the four services and an engine, and waits until all of them are healthy.
The gateway then listens on port 8000. When the port is in use it says so in one sentence.

## Stopping

`sage gateway stop` lets the streams under way finish, for thirty seconds at most, and then stops every process.
""",
    "guide/sessions.md": """# Sessions

A session keeps the turns of a conversation in Redis, as a list of JSON messages. It expires when nobody has used it
for a week. A chat that names a `session_id` gives the engine the history, and stores the new turn in one step.
""",
    "guide/engines.md": """# Engines

An engine is a model server. `POST /v1/management/engines/register` makes one known by host and port. After three
failed probes in a row an engine is in the state ERROR, and one good probe brings it back to READY.

```python
client.getUserById(42)
```
""",
    "zh.md": "# 数据库\n\n数据库连接池的默认大小是十个连接。超过这个数目时,请求会等待。\n",
}


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    written(folder / "docs", FILES)
    return folder


@pytest.fixture
async def desk(docs: Path) -> AsyncGenerator[Desk]:
    async with edge_desk(docs, encoder=WordllamaEncoder()) as found:
        await found.builds.build(wire.BuildRequest())
        yield found


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncGenerator[Desk]:
    async with edge_desk(tmp_path) as found:
        yield found


async def search(desk: Desk, body: dict[str, object], path: str = "/v1/retrieval/search") -> tuple[int, Any]:
    async with desk.served() as url, aiohttp.ClientSession() as http, http.post(url + path, json=body) as response:
        return response.status, await response.json()


async def found(desk: Desk, query: str, **body: object) -> list[str]:
    status, answer = await search(desk, {"query": query, **body})
    assert status == 200, answer
    return [passage["source"]["path"] for passage in answer["passages"]]


async def test_a_passage_comes_with_where_it_stands(desk: Desk) -> None:
    status, answer = await search(desk, {"query": "How do I stop the gateway?", "top_k": 1})
    (passage,) = answer["passages"]

    assert (status, answer["evidence"], answer["reason"]) == (200, True, None)
    assert passage["source"] == {
        "path": "operations.md",
        "title": "Running the gateway",
        "heading": "Operations > Starting",
        "anchor": "starting",
        "lines": [1, 13],
        "type": "markdown",
        "collection": "docs",
        "modified": passage["source"]["modified"],
    }
    assert "lets the streams under way finish" in passage["text"]
    assert 0 < passage["score"] <= 1


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("Which port does the gateway listen on?", "operations.md"),
        ("where are conversations stored", "guide/sessions.md"),
        ("When is an engine in the state ERROR?", "guide/engines.md"),
        ("get user by id", "guide/engines.md"),
        ("数据库连接池有多大?", "zh.md"),
    ],
)
@pytest.mark.slow
async def test_a_question_finds_the_file_that_answers_it(desk: Desk, query: str, path: str) -> None:
    assert (await found(desk, query))[0] == path


@pytest.mark.parametrize(
    "query",
    [
        "What is the capital of France?",
        "How do I bake a chocolate cake?",
        "hello",
        "Thanks!",
        "asdf qwer zxcv",
        "the of and",
        " ",
        "???",
        "\0",
        "今天天气怎么样?",
        "🙂" * 50,
    ],
)
@pytest.mark.slow
async def test_a_question_about_something_else_finds_nothing(desk: Desk, query: str) -> None:
    status, answer = await search(desk, {"query": query})

    assert (status, answer["passages"], answer["evidence"]) == (200, [], False)
    assert answer["reason"] == "nothing in the index speaks of this"


async def test_the_internal_route_answers_the_same(desk: Desk) -> None:
    body: dict[str, object] = {"query": "stop the gateway"}

    assert await search(desk, body) == await search(desk, body, "/internal/search")


async def test_no_more_than_top_k_are_given(desk: Desk) -> None:
    query = "engine"

    assert len(await found(desk, query, top_k=1)) == 1
    assert 1 < len(await found(desk, query, top_k=50)) <= 4


async def test_a_path_prefix_keeps_what_lies_below_it(desk: Desk) -> None:
    query = "a session or an engine"

    assert set(await found(desk, query, filters={"path_prefix": "guide/"})) <= {"guide/engines.md", "guide/sessions.md"}
    assert await found(desk, query, filters={"path_prefix": "operations"}) in [[], ["operations.md"]]
    assert await found(desk, query, filters={"path_prefix": "nowhere/"}) == []


async def test_what_a_filter_does_not_keep_is_not_found(tmp_path: Path) -> None:
    kept: list[dict[str, object]] = [
        {"type": "markdown"},
        {"type": ["pdf", "markdown"]},
        {"modified_after": "2000-01-01", "modified_before": "2100-01-01"},
        {"meta": {"team": "search"}},
        {"meta": {"team": ["ops", "search"], "level": 2}},
    ]
    left_out: list[dict[str, object]] = [
        {"type": "pdf"},
        {"modified_after": "2100-01-01"},
        {"modified_before": "2000-01-01"},
        {"meta": {"team": "ops"}},
        {"meta": {"team": "search", "level": 3}},
        {"meta": {"owner": "search"}},
        {"path_prefix": "guide/", "meta": {"team": "search"}},
    ]
    async with edge_desk(tmp_path, encoder=WordllamaEncoder()) as desk:
        new = NewUpload("teams.md", b"# Teams\n\nRanking belongs to the search team.\n", {"team": "search", "level": 2})
        await desk.uploads.add([new], None, wait=True)
        found_with = [await desk.searches.find(wire.SearchRequest(query="search team", filters=one)) for one in kept]
        without = [await desk.searches.find(wire.SearchRequest(query="search team", filters=one)) for one in left_out]

    assert [len(answer.passages) for answer in found_with] == [1] * len(kept)
    assert found_with[0].passages[0].meta == new.meta
    assert [len(answer.passages) for answer in without] == [0] * len(left_out)


async def test_the_default_collection_may_be_named(desk: Desk) -> None:
    assert await found(desk, "stop the gateway", collection="docs", filters={}) != []


async def test_a_very_long_query_is_answered(desk: Desk) -> None:
    assert (await search(desk, {"query": "stop the gateway " * 1_170}))[0] == 200


@pytest.mark.parametrize(
    ("body", "expected", "param"),
    [
        ({}, (400, "invalid_request"), None),
        ({"query": ""}, (400, "invalid_request"), "query"),
        ({"query": "x" * 20_001}, (400, "invalid_request"), "query"),
        ({"query": 7}, (400, "invalid_request"), "query"),
        ({"query": "x", "top_k": 0}, (400, "invalid_request"), "top_k"),
        ({"query": "x", "top_k": 51}, (400, "invalid_request"), "top_k"),
        ({"query": "x", "collection": "secrets"}, (404, "collection_not_found"), "collection"),
        ({"query": "x", "collection": "../docs"}, (400, "invalid_request"), "collection"),
        ({"query": "x", "filters": {"owner": "me"}}, (400, "invalid_request"), "filters"),
        ({"query": "x", "filters": {"path_prefix": 1}}, (400, "invalid_request"), "filters.path_prefix"),
        ({"query": "x", "filters": ["path_prefix"]}, (400, "invalid_request"), "filters"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/retrieval/search", "/internal/search"])
async def test_a_wrong_request_is_refused(
    empty: Desk, path: str, body: dict[str, object], expected: tuple[int, str], param: str | None
) -> None:
    told, answer = await search(empty, body, path)

    assert (told, answer["error"]["code"]) == expected
    assert answer["error"]["param"] == param


async def test_without_an_index_there_is_no_evidence_and_no_error(empty: Desk) -> None:
    assert await search(empty, {"query": "anything"}) == (
        200,
        {"passages": [], "evidence": False, "reason": "no index", "how": None},
    )


async def test_an_index_whose_terms_are_others_is_not_searched(tmp_path: Path) -> None:
    class NewerTerms(Bm25Terms):
        fingerprint = "newer"

    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path) as desk:
        await desk.builds.build(wire.BuildRequest())
        newer = Searches(
            collections=desk.collections,
            encoder=desk.encoder,
            terms=NewerTerms(),
            monotonic=time.monotonic,
            counts=desk.tally,
        )
        answer = await newer.find(wire.SearchRequest(query="stop the gateway"))

    assert (answer.passages, answer.reason) == ([], "the index was made by another version: build it again")


async def test_vectors_of_another_encoder_are_not_compared_but_words_are(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path) as first:
        first.encoder.name = "older words"
        await first.builds.build(wire.BuildRequest())
    async with edge_desk(tmp_path) as second:
        _, answer = await search(second, {"query": "stop the gateway"})

    assert second.encoder.encoded == []
    assert answer["passages"][0]["source"]["path"] == "operations.md"
    assert answer["how"]["mode"] == "bm25"
    assert "made with the encoder older words" in answer["how"]["degraded"]


async def test_how_it_was_looked_for_is_told(desk: Desk) -> None:
    for query in ("stop the gateway", "How do I bake a chocolate cake?"):
        _, answer = await search(desk, {"query": query})

        assert answer["how"] == {"mode": "hybrid", "encoder": "wordllama-l2-supercat"}


async def test_while_the_encoder_is_away_words_alone_are_compared_and_that_is_told(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path) as desk:
        await desk.builds.build(wire.BuildRequest())
        desk.encoder.fails_with = EncoderAway("nobody there")
        _, answer = await search(desk, {"query": "stop the gateway"})
        _, other = await search(desk, {"query": "How do I bake a chocolate cake?"})

    assert answer["passages"][0]["source"]["path"] == "operations.md"
    assert answer["how"] == {"mode": "bm25", "encoder": "words", "degraded": "the encoder is away: nobody there"}
    assert (other["evidence"], other["how"]) == (False, answer["how"])


class LongerVectors(WordsEncoder):
    """The same model by name, served by an engine that was given another one."""

    async def encode(self, texts: Sequence[str], *, kind: Kind) -> list[list[float]]:
        return [[*vector, 0.0] for vector in await super().encode(texts, kind=kind)]


async def test_vectors_of_another_length_are_not_compared(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path) as desk:
        await desk.builds.build(wire.BuildRequest())
        searches = Searches(
            collections=desk.collections,
            encoder=LongerVectors(),
            terms=Bm25Terms(),
            monotonic=time.monotonic,
            counts=desk.tally,
        )
        answer = await searches.find(wire.SearchRequest(query="stop the gateway"))

    assert answer.passages
    assert answer.how is not None
    assert answer.how.degraded == "the encoder makes 65 dimensions now, and made 64 for the index"


class Partial:
    """A reranker that likes one word, and can be away."""

    name = "partial"

    def __init__(self) -> None:
        self.read: list[str] = []
        self.away = False

    async def relevance(self, query: str, texts: Sequence[str]) -> list[float]:
        if self.away:
            raise RerankerAway("no answer")
        self.read = list(texts)
        return [0.9 if "probe" in text else 0.1 for text in texts]


async def test_a_reranker_decides_the_order_and_is_done_without(desk: Desk) -> None:
    reranker = Partial()
    searches = Searches(
        collections=desk.collections,
        encoder=WordllamaEncoder(),
        terms=Bm25Terms(),
        monotonic=time.monotonic,
        counts=desk.tally,
        reranker=reranker,
    )
    request = wire.SearchRequest(query="How long does a session keep an engine?", top_k=10)
    reranked = await searches.find(request)
    reranker.away = True
    plain = await searches.find(request)

    assert [reranked.how, plain.how] == [
        wire.How(mode="hybrid", encoder="wordllama-l2-supercat", reranker="partial"),
        wire.How(mode="hybrid", encoder="wordllama-l2-supercat", degraded="the reranker is away: no answer"),
    ]
    assert plain.passages[0].source.path == "guide/sessions.md"
    assert (reranked.passages[0].source.path, reranked.passages[0].score) == ("guide/engines.md", 0.9)
    assert len(reranker.read) == 4


async def test_a_passage_opens_later_also_after_the_index_was_built_anew(desk: Desk) -> None:
    _, answer = await search(desk, {"query": "stop the gateway", "top_k": 1})
    (given,) = answer["passages"]
    await desk.builds.build(wire.BuildRequest(force_rebuild=True))

    for query in ("", "?collection=docs"):
        status, opened = await opening(desk, given["id"], query)

        assert status == 200
        assert {**opened, "score": given["score"]} == given


async def test_a_passage_that_is_not_there_is_a_404(desk: Desk) -> None:
    async with desk.served() as url, aiohttp.ClientSession() as http:
        for passage_id in ("00000000-0000-0000-0000-000000000000", "nonsense", "%00", "x" * 999, "%F0%9F%99%82"):
            for query in ("", "?collection=docs", "?collection=secrets"):
                address = URL(f"{url}/v1/retrieval/passages/{passage_id}{query}", encoded=True)
                async with http.get(address) as response:
                    told = (response.status, (await response.json())["error"]["code"])

                assert told == (404, "passage_not_found"), address


async def test_a_collections_name_is_checked_when_a_passage_is_opened(desk: Desk) -> None:
    status, answer = await opening(desk, "x", "?collection=../etc")

    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "invalid_request", "collection")


async def opening(desk: Desk, passage_id: str, query: str) -> tuple[int, Any]:
    async with desk.served() as url, aiohttp.ClientSession() as http:
        address = URL(f"{url}/v1/retrieval/passages/{passage_id}{query}", encoded=True)
        async with http.get(address) as response:
            return response.status, await response.json()


async def test_searches_are_counted_by_what_came_of_them(desk: Desk, empty: Desk) -> None:
    for query in ("stop the gateway", "engine states", "chocolate cake"):
        await search(desk, {"query": query})
    await search(empty, {"query": "anything"})

    assert desk.tally.searches == {"evidence": 2, "no_evidence": 1}
    assert empty.tally.searches == {"no_index": 1}
