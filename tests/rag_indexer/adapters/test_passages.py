"""One suite over every store: what a build and a search rely on."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from rag_indexer.adapters.edge_passages import edge_passages
from rag_indexer.adapters.qdrant_passages import QdrantPassages, qdrant_passages
from rag_indexer.domain.documents import EVERYTHING, Entry, Filters, Sparse, Vectors
from rag_indexer.domain.ports import Passages
from tests.rag_indexer.parts import DIMENSIONS, entry, query, record

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

SERVER_URL = os.environ.get("SAGE_TEST_QDRANT_URL", "")
ENTRIES = [
    entry("a.md", "the session store keeps turns in a list", file_hash="1"),
    entry("a.md", "a zebra is striped", file_hash="1"),
    entry("guide/b.md", "the gateway chooses an engine for a session", file_hash="2"),
    entry("guide/c.md", "an engine dies and another engine answers", file_hash="3"),
]
FILES = {"a.md": "1", "guide/b.md": "2", "guide/c.md": "3"}


@asynccontextmanager
async def in_memory() -> AsyncGenerator[QdrantPassages]:
    client = AsyncQdrantClient(":memory:")
    yield QdrantPassages(client, collection="docs")
    await client.close()


@pytest.fixture(params=["edge", "memory", *(["server"] if SERVER_URL else [])])
async def passages(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Passages]:
    opened: AbstractAsyncContextManager[Passages]
    match request.param:
        case "edge":
            opened = edge_passages(tmp_path, collection="docs")
        case "memory":
            opened = in_memory()
        case _:
            name = f"test-{uuid.uuid4().hex}"
            opened = qdrant_passages(SERVER_URL, None, collection=name)
    async with opened as store:
        yield store
        await store.delete()


async def published(passages: Passages, entries: list[Entry] = ENTRIES, **changes: object) -> None:
    draft = await passages.draft(DIMENSIONS)
    await draft.add(entries)
    files = {one.passage.path: one.passage.file_hash for one in entries}
    await draft.publish(record(num_chunks=len(entries), **changes), files)


async def found(passages: Passages, text: str, path_prefix: str | None = None) -> list[str]:
    hits = await passages.search(query(text), limit=10, chosen=Filters(path_prefix=path_prefix))
    return [hit.passage.text for hit in hits.sparse]


async def test_without_an_index_there_is_nothing(passages: Passages) -> None:
    hits = await passages.search(query("session"), limit=5, chosen=EVERYTHING)

    assert (await passages.record(), await passages.files()) == (None, {})
    assert (hits.sparse, hits.dense, await passages.vectors([ENTRIES[0].passage.id])) == ([], [], {})


async def test_what_is_published_is_served(passages: Passages) -> None:
    await published(passages)
    stored = await passages.record()

    assert stored == record(num_chunks=4)
    assert await passages.files() == FILES


async def test_a_passage_comes_back_as_it_was_stored(passages: Passages) -> None:
    await published(passages)
    hits = await passages.search(query("zebra"), limit=5, chosen=EVERYTHING)

    assert [hit.passage for hit in hits.sparse] == [ENTRIES[1].passage]
    assert hits.sparse[0].score > 0


async def test_a_rare_word_weighs_more_than_a_common_one(passages: Passages) -> None:
    common = [entry(f"{number}.md", f"engine number {number}") for number in range(20)]
    await published(passages, [*common, entry("rare.md", "zebra number"), entry("both.md", "engine number again")])
    hits = await passages.search(query("zebra engine"), limit=30, chosen=EVERYTHING)

    assert hits.sparse[0].passage.path == "rare.md"
    assert hits.sparse[0].score > 3 * hits.sparse[1].score


async def test_a_word_that_occurs_often_in_a_passage_weighs_more(passages: Passages) -> None:
    await published(passages)

    assert (await found(passages, "engine"))[0] == "an engine dies and another engine answers"


async def test_the_dense_hits_are_by_cosine(passages: Passages) -> None:
    await published(passages)
    hits = await passages.search(query(ENTRIES[1].passage.text), limit=4, chosen=EVERYTHING)

    assert hits.dense[0].passage == ENTRIES[1].passage
    assert hits.dense[0].score == pytest.approx(1.0, abs=1e-5)
    assert [hit.score for hit in hits.dense] == sorted((hit.score for hit in hits.dense), reverse=True)


async def test_no_more_than_the_limit_are_found(passages: Passages) -> None:
    await published(passages)
    hits = await passages.search(query("engine session zebra"), limit=2, chosen=EVERYTHING)

    assert (len(hits.sparse), len(hits.dense)) == (2, 2)


async def test_a_prefix_keeps_the_passages_below_it(passages: Passages) -> None:
    await published(passages)

    assert len(await found(passages, "session engine", "guide/")) == 2
    assert await found(passages, "session engine", "guide/b") == [ENTRIES[2].passage.text]
    assert await found(passages, "session", "nowhere") == []
    hits = await passages.search(query("session"), limit=9, chosen=Filters(path_prefix="a"))
    assert {hit.passage.path for hit in hits.dense} == {"a.md"}


async def test_a_query_without_terms_or_without_meaning_finds_by_the_other(passages: Passages) -> None:
    await published(passages)
    no_terms = Vectors(Sparse([], []), query("zebra").dense)
    no_meaning = Vectors(query("zebra").sparse, [0.0] * DIMENSIONS)

    assert (await passages.search(no_terms, limit=3, chosen=EVERYTHING)).sparse == []
    assert len((await passages.search(no_terms, limit=3, chosen=EVERYTHING)).dense) == 3
    assert len((await passages.search(no_meaning, limit=3, chosen=EVERYTHING)).sparse) == 1


async def test_vectors_come_back_as_they_were_stored(passages: Passages) -> None:
    await published(passages)
    kept = await passages.vectors([ENTRIES[0].passage.id, str(uuid.uuid4())])
    vectors = kept[ENTRIES[0].passage.id]

    assert len(kept) == 1
    assert set(vectors.sparse.indices) == set(ENTRIES[0].vectors.sparse.indices)
    assert vectors.dense == pytest.approx(ENTRIES[0].vectors.dense, abs=1e-5)


async def test_a_passage_without_known_words_can_be_stored(passages: Passages) -> None:
    empty = entry("a.md", "!?")
    await published(passages, [Entry(empty.passage, Vectors(Sparse([], []), [0.0] * DIMENSIONS))])

    assert await passages.vectors([empty.passage.id]) != {}


async def test_a_draft_is_not_seen_before_it_is_published(passages: Passages) -> None:
    await published(passages)
    draft = await passages.draft(DIMENSIONS)
    await draft.add([entry("new.md", "a giraffe is tall")])
    before = await found(passages, "giraffe")
    await draft.publish(record(), {"new.md": "h"})

    assert before == []
    assert await found(passages, "giraffe") == ["a giraffe is tall"]
    assert await found(passages, "zebra") == []
    assert await passages.files() == {"new.md": "h"}


async def test_a_discarded_draft_leaves_what_was_served(passages: Passages) -> None:
    await published(passages)
    draft = await passages.draft(DIMENSIONS)
    await draft.add([entry("new.md", "a giraffe is tall")])
    await draft.discard()

    assert await found(passages, "zebra") == ["a zebra is striped"]
    assert await passages.files() == FILES


async def test_files_are_carried_over_with_their_vectors(passages: Passages) -> None:
    await published(passages)
    draft = await passages.draft(DIMENSIONS)
    count = await draft.carry(["a.md", "guide/c.md"])
    await draft.publish(record(num_chunks=count), {"a.md": "1", "guide/c.md": "3"})

    assert count == 3
    assert await found(passages, "zebra") == ["a zebra is striped"]
    assert await found(passages, "gateway") == []
    assert await passages.files() == {"a.md": "1", "guide/c.md": "3"}
    vectors = (await passages.vectors([ENTRIES[3].passage.id]))[ENTRIES[3].passage.id]
    assert vectors.dense == pytest.approx(ENTRIES[3].vectors.dense, abs=1e-5)


async def test_carrying_nothing_is_nothing(passages: Passages) -> None:
    draft = await passages.draft(DIMENSIONS)
    count = await draft.carry([])
    await draft.discard()

    assert count == 0


async def test_many_passages_are_stored_and_carried(passages: Passages) -> None:
    await published(passages, [entry(f"{number % 7}.md", f"passage number{number}") for number in range(700)])
    draft = await passages.draft(DIMENSIONS)
    count = await draft.carry(["0.md", "1.md"])
    await draft.discard()

    assert count == 200
    assert await found(passages, "number699") == ["passage number699"]


async def test_a_deleted_index_is_gone_and_another_can_be_made(passages: Passages) -> None:
    await published(passages)
    first, second = await passages.delete(), await passages.delete()
    nothing = await passages.record()
    await published(passages)

    assert (first, second, nothing) == (True, False, None)
    assert await found(passages, "zebra") == ["a zebra is striped"]


async def test_a_search_never_meets_a_gap_while_versions_change(passages: Passages) -> None:
    await published(passages)
    done = asyncio.Event()
    counts: list[int] = []

    async def searching() -> None:
        while not done.is_set():
            counts.append(len(await found(passages, "zebra")))
            await asyncio.sleep(0)  # the client in memory never waits for anything by itself

    searchers = [asyncio.create_task(searching()) for _ in range(4)]
    for _ in range(3):
        await published(passages)
        await asyncio.sleep(0)
    done.set()
    await asyncio.gather(*searchers)

    assert set(counts) == {1}
