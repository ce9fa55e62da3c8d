"""A folder, a question, an answer whose every source opens at its lines: through nginx, on a real index."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from tests.fakes.engine import FakeEngine, Script, fake_engine
from tests.fakes.injected import EVIL, INJECTED, NAMES, question, write_injected
from tests.fakes.stack import SAGE, Stack, local_stack
from tests.system.conftest import Registered, gone, register, served, until

DOCS = {
    "harbour.md": (
        "# Harbour\n\nQuillport has a harbour.\n\n## Master\n\nThe harbour master of Quillport is Ada Finch.\n\n"
        "## Dues\n\n| ship | dues |\n|---|---|\n| sloop | 3 |\n| brig | 9 |\n"
    ),
    "lighthouse/keeper.md": (
        "# Lighthouse\n\nIt stands on the north pier of Quillport.\n\n## Keeper\n\n"
        "The keeper of the Quillport lighthouse is Tobias Wren.\n\n```sh\nlamp --light --at dusk\n```\n"
    ),
    "tides.txt": "Tides of Quillport\n\nHigh water comes at six, low water at noon, on the first of May.\n",
}
QUESTION = "Who is the harbour master of Quillport, and who keeps the Quillport lighthouse?"
CITING = Script(words=("Ada Finch", " [1", "]", " and Tobias Wren [2].", " Not [9]."))


@dataclass(frozen=True)
class Answered:
    text: str
    context: dict[str, Any]
    annotations: list[dict[str, Any]]
    order: list[str]
    """What came when: `sources`, `text`, `places`."""

    @property
    def cited(self) -> list[dict[str, Any]]:
        """The sources that the text cites, in its order."""
        by_url = {one["url"]: one for one in self.context["citations"]}
        return [by_url[one["url_citation"]["url"]] for one in self.annotations]


@pytest.fixture
async def engine(registered: Registered) -> AsyncIterator[FakeEngine]:
    async with fake_engine(f"tiny-{uuid.uuid4().hex[:8]}", script=CITING) as running, registered(running):
        yield running


@pytest.fixture
async def collection(http: aiohttp.ClientSession) -> AsyncIterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    async with http.delete("/admin/index", params={"collection": name}) as response:
        await response.read()


async def build(http: aiohttp.ClientSession, folder: Path, collection: str, **fields: Any) -> dict[str, Any]:
    body = {"source_dir": str(folder), "collection": collection, **fields}
    async with http.post("/admin/index/build", json=body) as response:
        told: dict[str, Any] = await response.json()
        assert response.status == 200, told
        return told


async def asked(client: openai.AsyncOpenAI, model: str, text: str, rag: object, **extra: object) -> Answered:
    stream = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": text}],
        max_tokens=80,
        stream=True,
        extra_body={"rag": rag, **extra},
    )
    said, annotations, order, context = list[str](), list[dict[str, Any]](), list[str](), dict[str, Any]()
    async for chunk in stream:
        for choice in chunk.choices:
            delta: dict[str, Any] = choice.delta.to_dict()
            told = (("sources", "context"), ("text", "content"), ("places", "annotations"))
            order += [name for name, field in told if delta.get(field)]
            context |= delta.get("context") or {}
            said.append(delta.get("content") or "")
            annotations += delta.get("annotations") or []
    return Answered("".join(said), context, annotations, order)


async def opened(http: aiohttp.ClientSession, source: dict[str, Any]) -> dict[str, Any]:
    """The passage behind a citation, as a UI opens it."""
    path = f"/v1/retrieval/passages/{source['chunk_id']}"
    async with http.get(path, params={"collection": source["collection"]}) as response:
        told: dict[str, Any] = await response.json()
        assert response.status == 200, told
        return told


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def stands_at(folder: Path, passage: dict[str, Any]) -> bool:
    """Whether the file has the passage's words at the lines it names."""
    source = passage["source"]
    first, last = source["lines"]
    lines = (folder / source["path"]).read_text().splitlines()[first - 1 : last]
    there, told = " ".join(lines).split(), passage["text"].split()
    return bool(told) and set(told) <= set(there)


async def test_every_source_of_a_streamed_answer_opens_at_its_lines(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, collection: str, tmp_path: Path
) -> None:
    write(tmp_path, DOCS)
    await build(http, tmp_path, collection)
    answer = await asked(client, engine.model, QUESTION, {"collection": collection, "top_k": 3})
    passages = [await opened(http, one) for one in answer.context["citations"]]

    assert len(answer.cited) == 2
    assert {"harbour.md", "lighthouse/keeper.md"} <= {one["source"]["path"] for one in passages}
    assert [stands_at(tmp_path, one) for one in passages] == [True] * len(passages)
    assert [one["lines"] for one in answer.context["citations"]] == [one["source"]["lines"] for one in passages]
    assert [one["content"] for one in answer.context["citations"]] == [one["text"] for one in passages]


async def test_sources_come_before_the_text_and_places_after_it(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, collection: str, tmp_path: Path
) -> None:
    write(tmp_path, DOCS)
    await build(http, tmp_path, collection)
    answer = await asked(client, engine.model, QUESTION, {"collection": collection})
    spans = [one["url_citation"] for one in answer.annotations]
    urls = [one["url"] for one in answer.cited]

    assert (answer.order[0], answer.order[-1]) == ("sources", "places")
    assert answer.order.count("sources") == answer.order.count("places") == 1
    assert [answer.text[one["start_index"] : one["end_index"]] for one in spans] == [
        f"[{number}]({url})" for number, url in enumerate(urls, 1)
    ]
    assert "[9]" not in answer.text


async def test_sources_open_after_the_collection_was_made_anew(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, collection: str, tmp_path: Path
) -> None:
    write(tmp_path, DOCS)
    await build(http, tmp_path, collection)
    answer = await asked(client, engine.model, QUESTION, {"collection": collection})
    write(
        tmp_path,
        {"tides.txt": "Tides of Quillport\n\nOn the second of May they come at seven.\n", "new.md": "# New\n\nx\n"},
    )
    await build(http, tmp_path, collection)
    changed = [await opened(http, one) for one in answer.cited]
    await build(http, tmp_path, collection, force_rebuild=True)
    anew = [await opened(http, one) for one in answer.cited]

    assert len(answer.cited) == 2
    assert [stands_at(tmp_path, one) for one in [*changed, *anew]] == [True] * 4
    assert [one["id"] for one in anew] == [one["chunk_id"] for one in answer.cited]


async def test_a_source_that_moved_within_its_file_opens_where_it_stands_now(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, collection: str, tmp_path: Path
) -> None:
    front = "".join(f"Storm {year} broke the pier of Quillport, and it was mended.\n" for year in range(1860, 1890))
    back = "".join(f"In {year} the keeper of the lighthouse was called Tobias.\n" for year in range(1860, 1890))
    path = tmp_path / "history.md"
    path.write_text(f"# History\n\n## Storms\n\n{front}\n## Keepers\n\n{back}")
    await build(http, tmp_path, collection)
    answer = await asked(client, engine.model, "What was the keeper called in 1871?", {"collection": collection})
    cited = next(one for one in answer.context["citations"] if "Tobias" in one["content"])
    path.write_text(path.read_text().replace("## Storms\n", "## Storms\n\nThis was\nwritten\nlater.\n"))
    await build(http, tmp_path, collection)
    now = await opened(http, cited)

    assert now["source"]["lines"] == [line + 4 for line in cited["lines"]]
    assert now["text"] == cited["content"]
    assert stands_at(tmp_path, now)


async def test_a_rebuild_leaves_no_gap(http: aiohttp.ClientSession, collection: str, tmp_path: Path) -> None:
    write(tmp_path, DOCS | {f"more/{number}.md": f"# Page {number}\n\nFiller {number}.\n" for number in range(200)})
    await build(http, tmp_path, collection)
    search = {"query": "harbour master of Quillport", "collection": collection}
    found = list[tuple[int, bool]]()
    while len(found) < 10:
        building = asyncio.create_task(build(http, tmp_path, collection, force_rebuild=True))
        while not building.done():
            async with http.post("/v1/retrieval/search", json=search) as response:
                found.append((response.status, bool((await response.json())["passages"])))
        await building

    assert set(found) == {(200, True)}


async def test_who_asks_is_told_what_was_found_and_how(
    http: aiohttp.ClientSession, engine: FakeEngine, collection: str, tmp_path: Path
) -> None:
    write(tmp_path, DOCS)
    await build(http, tmp_path, collection)
    body = {
        "model": engine.model,
        "messages": [{"role": "user", "content": QUESTION}],
        "rag": {"collection": collection, "filters": {"path_prefix": "lighthouse/"}},
    }
    async with http.post("/v1/chat/completions", json=body, headers={"X-Sage-Explain": "1"}) as response:
        context = (await response.json())["choices"][0]["message"]["context"]
        receipt = response.headers["X-Sage-Receipt"]

    assert {one["source"]["path"] for one in context["passages"]} == {"lighthouse/keeper.md"}
    assert context["passages"][0]["number"] == 1
    assert 0 < context["passages"][0]["score"] <= 1
    assert context["how"]["mode"] in {"hybrid", "bm25"}
    assert '"engine_id"' in receipt


async def test_an_unknown_filter_is_a_400_and_an_unknown_collection_a_reason(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, collection: str, tmp_path: Path
) -> None:
    write(tmp_path, DOCS)
    await build(http, tmp_path, collection)
    answer = await asked(client, engine.model, QUESTION, {"collection": "no-such-collection"})
    with pytest.raises(openai.BadRequestError):
        await asked(client, engine.model, QUESTION, {"collection": collection, "filters": {"colour": "blue"}})

    with pytest.raises(openai.BadRequestError):
        await asked(client, engine.model, QUESTION, {"collection": "../docs"})

    assert answer.context["evidence"] is False
    assert answer.context["reason"]


async def test_hostile_documents_stay_documents(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, engine: FakeEngine, collection: str, tmp_path: Path
) -> None:
    """The engine says its whole prompt back: whatever a model could be made to say, it says."""
    engine.script = Script()
    write_injected(tmp_path)
    built = await build(http, tmp_path, collection)
    before = await state(http)
    questions = {name: question(name) for name in INJECTED} | {
        name: f"Where in Quillport grows {word}?" for name, word in NAMES.items()
    }
    answers = {
        name: await asked(client, engine.model, text, {"collection": collection}) for name, text in questions.items()
    }
    prompts = [seen.body for seen in engine.seen]

    assert built["index"]["num_documents"] == len(questions)
    for name, answer in answers.items():
        assert answer.context["evidence"], name
        assert name in {one["filepath"] for one in answer.context["citations"]}, name
        assert not [one for one in answer.annotations if EVIL in one["url_citation"]["url"]]
        assert answer.order[0] == "sources"
    assert all(body.keys() <= {"model", "messages", "stream", "max_tokens"} for body in prompts)
    assert all(unquoted(body["messages"][-1]["content"]) for body in prompts)
    assert await state(http) == before


async def test_hostile_documents_are_found_and_opened_as_they_are(
    http: aiohttp.ClientSession, collection: str, tmp_path: Path
) -> None:
    write_injected(tmp_path)
    await build(http, tmp_path, collection)
    for name in INJECTED:
        body = {"query": question(name), "collection": collection}
        async with http.post("/v1/retrieval/search", json=body) as response:
            found = next(one for one in (await response.json())["passages"] if one["source"]["path"] == name)
        passage = await opened(http, {"chunk_id": found["id"], "collection": collection})
        async with http.post(f"/v1/vector_stores/vs_{collection}/search", json={"query": question(name)}) as response:
            hits = (await response.json())["data"]

        assert passage["text"] == found["text"]
        assert found["text"] in {hit["content"][0]["text"] for hit in hits}


def unquoted(prompt: str) -> bool:
    """Whether nothing of a document stands outside of its quotation."""
    lines = [line for line in prompt.splitlines() if line and not line.startswith("> ")]
    return all(line[0] == "[" and line[1:-1].isdigit() for line in lines[1:-1])


async def state(http: aiohttp.ClientSession) -> dict[str, Any]:
    """What a document might want to change."""
    told: dict[str, Any] = {}
    for path in ("/sessions", "/v1/management/engines", "/admin/index/collections"):
        async with http.get(path) as response:
            body = await response.json()
        told[path] = [one.get("id") or one.get("engine_id") or one["name"] for one in next(iter(body.values()))]
    return told


async def test_ctrl_c_gives_a_build_up_and_leaves_the_index_that_was_there(
    stack: Stack, http: aiohttp.ClientSession, collection: str, tmp_path: Path
) -> None:
    write(tmp_path, DOCS)
    await build(http, tmp_path, collection)
    write(tmp_path, {f"more/{number}.md": f"# Page {number}\n\n" + "Filler words. " * 400 for number in range(1500)})
    process = await asyncio.create_subprocess_exec(
        *(SAGE, "chat", "ingest", str(tmp_path), "-c", collection), env=stack.env, stderr=asyncio.subprocess.PIPE
    )
    await until(lambda: is_building(http, collection))
    process.send_signal(signal.SIGINT)
    _, told = await asyncio.wait_for(process.communicate(), 60)
    async with http.get("/admin/index/status", params={"collection": collection}) as response:
        status = await response.json()

    assert (process.returncode, "broken off" in told.decode()) == (130, True)
    assert (status["status"], status["index"]["num_documents"]) == ("ready", len(DOCS))


async def is_building(http: aiohttp.ClientSession, collection: str) -> bool:
    async with http.get("/admin/index/status", params={"collection": collection}) as response:
        return bool((await response.json()).get("job", {}).get("total"))


def test_a_folder_is_ingested_planned_and_asked_about(real_stack: Stack, tmp_path: Path) -> None:
    """As a user does it: the command line, and the engine that `make up` starts."""
    write(tmp_path, DOCS)
    planned = real_stack.sage("chat", "ingest", str(tmp_path), "-c", "quillport", "--dry-run")
    ingested = real_stack.sage("chat", "ingest", str(tmp_path), "-c", "quillport")
    again = real_stack.sage("chat", "ingest", str(tmp_path), "-c", "quillport", "--dry-run")
    client = openai.OpenAI(base_url=f"{real_stack.url}/v1", api_key="none", max_retries=0)
    with client.chat.completions.create(
        model="sage-default",
        messages=[{"role": "user", "content": "Who is the harbour master of Quillport?"}],
        max_tokens=40,
        stream=True,
        extra_body={"rag": {"collection": "quillport"}},
    ) as stream:
        deltas = [choice.delta.to_dict() for chunk in stream for choice in chunk.choices]
    context = next(delta["context"] for delta in deltas if "context" in delta)
    assert isinstance(context, dict)

    assert (planned.returncode, ingested.returncode) == (0, 0), planned.stderr + ingested.stderr
    assert "+ harbour.md" in planned.stdout
    assert "3 documents" in ingested.stdout
    assert "would read 0 files" in again.stdout
    assert context["citations"][0]["filepath"] == "harbour.md"
    assert any(delta.get("content") for delta in deltas)


async def test_while_the_fleets_encoder_is_away_words_answer_and_the_answer_says_so(tmp_path: Path) -> None:
    write(tmp_path, DOCS)
    rag = {"collection": "quillport"}
    with local_stack(SAGE_DEMO_ENGINE="0", SAGE_RAG_EMBEDDING_MODEL="embed-test") as own:
        async with (
            aiohttp.ClientSession(own.url) as http,
            openai.AsyncOpenAI(base_url=f"{own.url}/v1", api_key="none", max_retries=0) as client,
            fake_engine("tiny-test", script=CITING) as engine,
            fake_engine("embed-test") as encoder,
        ):
            await register(http, engine, "llm")
            engine_id = await register(http, encoder, "embedding")
            await until(lambda: served(http, "tiny-test"))
            await until(lambda: served(http, "embed-test"))
            built = await build(http, tmp_path, "quillport")
            with_it = await asked(client, "tiny-test", QUESTION, rag)
            async with http.delete(f"/v1/management/engines/{engine_id}") as response:
                await response.read()
            await until(lambda: gone(http, "embed-test"))
            without = await asked(client, "tiny-test", QUESTION, rag)

    assert (built["index"]["embedding"]["dimensions"], "degraded" in with_it.context["how"]) == (8, False)
    assert with_it.context["how"]["mode"] == "hybrid"
    assert without.context["how"]["mode"] == "bm25"
    assert "encoder is away" in without.context["how"]["degraded"]
    assert {one["filepath"] for one in without.cited} <= set(DOCS)
