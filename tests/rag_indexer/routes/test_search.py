"""Finding passages, over a real socket and real Edge, with the encoder that users have."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from sage_contracts import index as wire
from tests.rag_indexer.parts import Desk, edge_desk, written

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
async def test_a_question_about_something_else_finds_nothing(desk: Desk, query: str) -> None:
    status, answer = await search(desk, {"query": query})

    assert (status, answer["passages"], answer["evidence"]) == (200, [], False)
    assert answer["reason"] == "nothing in the index speaks of this"


async def test_the_internal_route_answers_the_same(desk: Desk) -> None:
    body: dict[str, object] = {"query": "stop the gateway"}

    assert await search(desk, body) == await search(desk, body, "/internal/search")


async def test_no_more_than_top_k_are_given(desk: Desk) -> None:
    assert len(await found(desk, "gateway engine session", top_k=2)) == 2
    assert len(await found(desk, "gateway engine session", top_k=50)) == 4


async def test_a_path_prefix_keeps_what_lies_below_it(desk: Desk) -> None:
    paths = await found(desk, "gateway engine session", filters={"path_prefix": "guide/"})

    assert sorted(paths) == ["guide/engines.md", "guide/sessions.md"]


async def test_the_default_collection_may_be_named(desk: Desk) -> None:
    assert await found(desk, "stop the gateway", collection="docs", filters={}) != []


async def test_a_very_long_query_is_answered(desk: Desk) -> None:
    assert (await search(desk, {"query": "stop the gateway " * 1_170}))[0] == 200


@pytest.mark.parametrize(
    ("body", "expected", "param"),
    [
        ({}, (400, "invalid_request"), None),
        ({"query": ""}, (400, "invalid_request"), None),
        ({"query": "x" * 20_001}, (400, "invalid_request"), None),
        ({"query": 7}, (400, "invalid_request"), None),
        ({"query": "x", "top_k": 0}, (400, "invalid_request"), None),
        ({"query": "x", "top_k": 51}, (400, "invalid_request"), None),
        ({"query": "x", "collection": "secrets"}, (404, "not_found"), "collection"),
        ({"query": "x", "collection": "../docs"}, (404, "not_found"), "collection"),
        ({"query": "x", "filters": {"owner": "me"}}, (400, "invalid_request"), "filters"),
        ({"query": "x", "filters": {"path_prefix": 1}}, (400, "invalid_request"), "filters.path_prefix"),
        ({"query": "x", "filters": ["path_prefix"]}, (400, "invalid_request"), None),
    ],
)
@pytest.mark.parametrize("path", ["/v1/retrieval/search", "/internal/search"])
async def test_a_wrong_request_is_refused(
    empty: Desk, path: str, body: dict[str, object], expected: tuple[int, str], param: str | None
) -> None:
    told, answer = await search(empty, body, path)

    assert (told, answer["error"]["code"]) == expected
    assert param is None or answer["error"]["param"] == param


async def test_without_an_index_there_is_no_evidence_and_no_error(empty: Desk) -> None:
    assert await search(empty, {"query": "anything"}) == (
        200,
        {"passages": [], "evidence": False, "reason": "no index"},
    )


async def test_an_index_of_another_version_is_not_compared_with(tmp_path: Path) -> None:
    written(tmp_path / "docs", FILES)
    async with edge_desk(tmp_path) as first:
        first.encoder.name = "older words"
        old = await first.builds.build(wire.BuildRequest())
    async with edge_desk(tmp_path) as second:
        _, answer = await search(second, {"query": "stop the gateway"})

    assert old.status == "built"
    assert answer["reason"] == "the index was made by another version: build it again"


async def test_searches_are_counted_by_what_came_of_them(desk: Desk, empty: Desk) -> None:
    for query in ("stop the gateway", "engine states", "chocolate cake"):
        await search(desk, {"query": query})
    await search(empty, {"query": "anything"})

    assert desk.tally.searches == {"evidence": 2, "no_evidence": 1}
    assert empty.tally.searches == {"no_index": 1}
