"""One suite over every store: what a build and a search rely on."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from qdrant_client import AsyncQdrantClient

from rag_indexer.adapters.edge_passages import edge_collections
from rag_indexer.adapters.qdrant_passages import QdrantCollections, qdrant_collections
from rag_indexer.domain.documents import EVERYTHING, Entry, Filters, Meta, Sparse, Vectors
from rag_indexer.domain.manifest import FileState, Manifest, Stamp
from rag_indexer.domain.ports import Collections, Draft, Passages
from sage_contracts.errors import BuildRunning
from tests.rag_indexer.parts import DIMENSIONS, entry, made, query, record

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

SERVER_URL = os.environ.get("SAGE_TEST_QDRANT_URL", "")
ENTRIES = [
    entry("a.md", "the session store keeps turns in a list", file_hash="1"),
    entry("a.md", "a zebra is striped", file_hash="1"),
    entry("guide/b.md", "the gateway chooses an engine for a session", file_hash="2"),
    entry("guide/c.md", "an engine dies and another engine answers", file_hash="3"),
]
FILES = {"a.md": "1", "guide/b.md": "2", "guide/c.md": "3"}


FINGERPRINT = "f"


@asynccontextmanager
async def in_memory() -> AsyncGenerator[QdrantCollections]:
    client = AsyncQdrantClient(":memory:")
    yield QdrantCollections(client)
    await client.close()


@pytest.fixture(params=["edge", "memory", *(["server"] if SERVER_URL else [])])
async def collections(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Collections]:
    opened: AbstractAsyncContextManager[Collections]
    match request.param:
        case "edge":
            opened = edge_collections(tmp_path)
        case "memory":
            opened = in_memory()
        case _:
            opened = qdrant_collections(SERVER_URL, None)
    async with opened as store:
        yield store


@pytest.fixture
async def passages(collections: Collections) -> AsyncGenerator[Passages]:
    """Of a collection of its own: a server may be shared."""
    store = await collections.open(f"test-{uuid.uuid4().hex}")
    yield store
    await store.delete()


async def begun(passages: Passages, *, fresh: bool = True, fingerprint: str = FINGERPRINT) -> Draft:
    return await passages.draft(fresh=fresh, fingerprint=fingerprint, dimensions=DIMENSIONS)


async def published(passages: Passages, entries: list[Entry] = ENTRIES, **changes: object) -> None:
    draft = await begun(passages)
    await draft.put(made(*entries))
    await draft.publish(record(num_chunks=len(entries), **changes))


def hashes(manifest: Manifest) -> dict[str, str]:
    return {path: state.hash for path, state in manifest.items()}


async def found(passages: Passages, text: str, path_prefix: str | None = None) -> list[str]:
    hits = await passages.search(query(text), limit=10, chosen=Filters(path_prefix=path_prefix))
    return [hit.passage.text for hit in hits.sparse]


async def test_without_an_index_there_is_nothing(passages: Passages) -> None:
    hits = await passages.search(query("session"), limit=5, chosen=EVERYTHING)

    assert (await passages.record(), await passages.manifest()) == (None, {})
    assert (hits.sparse, hits.dense, await passages.vectors([ENTRIES[0].passage.id])) == ([], [], {})


async def test_what_is_published_is_served(passages: Passages) -> None:
    await published(passages)
    stored = await passages.record()

    assert stored == record(num_chunks=4)
    assert hashes(await passages.manifest()) == FILES


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


async def test_a_fresh_draft_is_not_seen_before_it_is_published(passages: Passages) -> None:
    await published(passages)
    draft = await begun(passages)
    await draft.put(made(entry("new.md", "a giraffe is tall")))
    before = await found(passages, "giraffe")
    await draft.publish(record())

    assert before == []
    assert await found(passages, "giraffe") == ["a giraffe is tall"]
    assert await found(passages, "zebra") == []
    assert hashes(await passages.manifest()) == {"new.md": "h"}


async def test_a_discarded_draft_leaves_what_was_served(passages: Passages) -> None:
    await published(passages)
    draft = await begun(passages)
    await draft.put(made(entry("new.md", "a giraffe is tall")))
    await draft.discard()

    assert await found(passages, "zebra") == ["a zebra is striped"]
    assert hashes(await passages.manifest()) == FILES
    assert not await passages.unfinished(FINGERPRINT)


async def test_a_change_begins_with_what_is_served_and_keeps_the_rest(passages: Passages) -> None:
    await published(passages)
    draft = await begun(passages, fresh=False)
    before = hashes(draft.files)
    await draft.put(made(entry("guide/b.md", "a giraffe is tall", file_hash="4"), entry("new.md", "a new file")))
    await draft.remove(["guide/c.md", "nowhere.md"])
    await draft.publish(record(num_chunks=4))

    assert before == FILES
    assert hashes(await passages.manifest()) == {"a.md": "1", "guide/b.md": "4", "new.md": "h"}
    assert set(await found(passages, "zebra giraffe")) == {"a zebra is striped", "a giraffe is tall"}
    assert await found(passages, "gateway chooses dies") == []
    vectors = (await passages.vectors([ENTRIES[1].passage.id]))[ENTRIES[1].passage.id]
    assert vectors.dense == pytest.approx(ENTRIES[1].vectors.dense, abs=1e-5)


async def test_an_amendment_takes_nothing_from_a_rebuild_that_was_left(passages: Passages) -> None:
    await published(passages)
    left = await begun(passages)
    await left.put(made(entry("new.md", "a giraffe is tall")))
    await left.leave()
    amendment = await passages.amendment()
    await amendment.remove(["a.md"])
    await amendment.publish(record(num_chunks=2))
    amended = hashes(await passages.manifest()), await found(passages, "zebra giraffe")
    rebuild = await begun(passages)
    kept = hashes(rebuild.files)
    await rebuild.discard()

    assert amended == ({"guide/b.md": "2", "guide/c.md": "3"}, [])
    assert kept == {"new.md": "h"}


async def test_a_file_that_is_put_again_loses_the_passages_it_had(passages: Passages) -> None:
    await published(passages)
    draft = await begun(passages, fresh=False)
    await draft.put(made(entry("a.md", "a zebra is striped", file_hash="2")))
    await draft.put(made(entry("a.md", "a lion roars", file_hash="3"), entry("a.md", "and sleeps", file_hash="3")))
    await draft.publish(record())

    assert set(await found(passages, "zebra lion sleeps turns")) == {"a lion roars", "and sleeps"}


async def test_the_passages_of_a_file_in_a_draft_come_back_with_their_vectors(passages: Passages) -> None:
    await published(passages)
    draft = await begun(passages, fresh=False)
    (first, second) = sorted(await draft.entries("a.md"), key=lambda one: one.passage.text)
    none = await draft.entries("nowhere.md")
    await draft.discard()

    assert [first.passage, second.passage] == [ENTRIES[1].passage, ENTRIES[0].passage]
    assert first.vectors.dense == pytest.approx(ENTRIES[1].vectors.dense, abs=1e-5)
    assert sorted(first.vectors.sparse.indices) == sorted(ENTRIES[1].vectors.sparse.indices)
    assert none == []


async def test_a_change_of_nothing_can_be_published(passages: Passages) -> None:
    await published(passages)
    draft = await begun(passages, fresh=False)
    await draft.publish(record(num_chunks=4, source_dir="/other"))
    stored = await passages.record()

    assert stored == record(num_chunks=4, source_dir="/other")
    assert len(await found(passages, "session engine")) == 3


@pytest.mark.slow
async def test_many_passages_are_stored_and_kept(passages: Passages) -> None:
    await published(passages, [entry(f"{number % 7}.md", f"passage number{number}") for number in range(700)])
    draft = await begun(passages, fresh=False)
    await draft.remove(["0.md", "1.md"])
    await draft.publish(record())

    assert await found(passages, "number693") == []
    assert await found(passages, "number699") == ["passage number699"]
    assert len(await passages.manifest()) == 5


async def test_an_unfinished_draft_is_gone_on_with(passages: Passages) -> None:
    await published(passages)
    first = await begun(passages)
    await first.put(made(entry("b.md", "a giraffe is tall")))
    await first.leave()
    unfinished = await passages.unfinished(FINGERPRINT), await passages.unfinished("other")
    second = await begun(passages)
    files = hashes(second.files)
    await second.put(made(entry("c.md", "a lion roars")))
    await second.publish(record())

    assert unfinished == (True, False)
    assert files == {"b.md": "h"}
    assert set(await found(passages, "zebra giraffe lion")) == {"a lion roars", "a giraffe is tall"}
    assert not await passages.unfinished(FINGERPRINT)


@pytest.mark.parametrize("other", [{"fingerprint": "other"}, {"fresh": False}])
@pytest.mark.slow
async def test_a_draft_of_another_kind_is_not_gone_on_with(passages: Passages, other: dict[str, Any]) -> None:
    await published(passages)
    first = await begun(passages)
    await first.put(made(entry("b.md", "a giraffe is tall")))
    await first.leave()
    second = await begun(passages, **other)
    files = hashes(second.files)
    await second.publish(record())

    assert "b.md" not in files
    assert await found(passages, "giraffe") == []


async def test_a_change_that_was_broken_off_is_gone_on_with(passages: Passages) -> None:
    await published(passages)
    first = await begun(passages, fresh=False)
    await first.put(made(entry("b.md", "a giraffe is tall")))
    await first.leave()
    second = await begun(passages, fresh=False)
    files = hashes(second.files)
    await second.publish(record())
    stored = await passages.record()

    assert files == FILES | {"b.md": "h"}
    assert set(await found(passages, "zebra giraffe")) == {"a giraffe is tall", "a zebra is striped"}
    assert stored is not None
    assert not stored.unfinished


async def test_what_is_known_of_a_file_can_be_noted_without_a_build(passages: Passages) -> None:
    await published(passages)
    noted = FileState(hash="1", size=1, chunks=2, stamp=Stamp(1, 2, 3, 4, 5))
    await passages.note({"a.md": noted})

    assert (await passages.manifest())["a.md"] == noted
    assert hashes(await passages.manifest()) == FILES


async def test_a_new_version_can_be_rolled_back_and_forth(passages: Passages) -> None:
    nothing = await passages.rollback()
    await published(passages, source_dir="/old")
    none_yet = await passages.earlier(), await passages.rollback()
    await published(passages, [entry("new.md", "a giraffe is tall")], source_dir="/new")
    earlier = await passages.earlier()
    back = await passages.rollback()
    zebra, giraffe = await found(passages, "zebra"), await found(passages, "giraffe")
    forth = await passages.rollback()

    assert (nothing, none_yet) == (None, (None, None))
    assert earlier == back == record(num_chunks=4, source_dir="/old")
    assert (zebra, giraffe) == (["a zebra is striped"], [])
    assert forth == record(num_chunks=1, source_dir="/new")
    assert await found(passages, "giraffe") == ["a giraffe is tall"]


async def test_a_change_keeps_the_earlier_version(passages: Passages) -> None:
    await published(passages, source_dir="/first")
    await published(passages, source_dir="/second")
    draft = await begun(passages, fresh=False)
    await draft.put(made(entry("b.md", "a giraffe is tall")))
    await draft.publish(record(source_dir="/second"))
    back = await passages.rollback()

    assert back == record(num_chunks=4, source_dir="/first")
    assert await found(passages, "giraffe") == []


async def test_a_passage_is_opened_by_its_id(passages: Passages) -> None:
    await published(passages)

    assert await passages.passage(ENTRIES[1].passage.id) == ENTRIES[1].passage
    assert await passages.passage(str(uuid.uuid4())) is None
    assert await passages.passage("no-id/../at all") is None


async def test_collections_are_apart(collections: Collections) -> None:
    one = await collections.open(f"test-{uuid.uuid4().hex}")
    other = await collections.open(f"test-{uuid.uuid4().hex}")
    await published(one)
    await published(other, [entry("b.md", "a giraffe is tall")])
    both = await collections.names()
    await one.delete()

    assert await found(one, "zebra") == []
    assert await found(other, "giraffe zebra") == ["a giraffe is tall"]
    assert len(set(both) - set(await collections.names())) == 1
    await other.delete()


async def test_a_collection_is_changed_by_one_at_a_time(collections: Collections) -> None:
    name = f"test-{uuid.uuid4().hex}"
    async with collections.hold(name) as lost:
        with pytest.raises(BuildRunning):
            async with collections.hold(name):
                pass
        async with collections.hold(f"{name}-other"):
            pass
    async with collections.hold(name):
        pass

    assert not lost.is_set()


FILTERED = [
    (Filters(types=("markdown",)), {"one"}),
    (Filters(types=("markdown", "pdf")), {"one", "two"}),
    (Filters(modified_after=150.0), {"two"}),
    (Filters(modified_before=150.0), {"one"}),
    (Filters(modified_after=100.0, modified_before=200.0), set()),
    (Filters(meta={"team": ("a",)}), {"one"}),
    (Filters(meta={"team": ("a", "b")}), {"one", "two"}),
    (Filters(meta={"tags": ("x",)}), {"one", "two"}),
    (Filters(meta={"tags": ("y",), "team": ("a",)}), set()),
    (Filters(meta={"year": (2026.0,)}), {"one"}),
    (Filters(meta={"year": ("2026",)}), set()),
    (Filters(meta={"draft": (1,)}), set()),
    (Filters(meta={"weight": (1.5,)}), {"two"}),
    (Filters(meta={"draft": (True,)}), {"two"}),
    (Filters(meta={"a.b": ("dot",)}), {"one"}),
    (Filters(meta={"nothing": ("a",)}), set()),
    (Filters(path_prefix="o", types=("pdf",)), set()),
]


@pytest.mark.parametrize(("chosen", "expected"), FILTERED)
@pytest.mark.slow
async def test_filters_keep_what_they_say(passages: Passages, chosen: Filters, expected: set[str]) -> None:
    one, two = entry("one", "an animal"), entry("two", "an animal")
    about_one: Meta = {"team": "a", "tags": ["x"], "year": 2026, "draft": False, "a.b": "dot"}
    about_two: Meta = {"team": "b", "tags": ["x", "y"], "weight": 1.5, "draft": True}
    first = msgspec.structs.replace(one.passage, type="markdown", modified=100.0, meta=about_one)
    second = msgspec.structs.replace(two.passage, type="pdf", modified=200.0, meta=about_two)
    await published(passages, [Entry(first, one.vectors), Entry(second, two.vectors)])
    hits = await passages.search(query("animal"), limit=5, chosen=chosen)

    assert {hit.passage.path for hit in hits.sparse} == {hit.passage.path for hit in hits.dense} == expected


async def test_a_query_that_has_only_terms_has_no_dense_hits(passages: Passages) -> None:
    await published(passages)
    hits = await passages.search(Vectors(query("zebra").sparse, []), limit=5, chosen=EVERYTHING)

    assert (len(hits.sparse), hits.dense) == (1, [])


async def test_a_deleted_index_is_gone_and_another_can_be_made(passages: Passages) -> None:
    await published(passages)
    first, second = await passages.delete(), await passages.delete()
    nothing = await passages.record()
    await published(passages)

    assert (first, second, nothing) == (True, False, None)
    assert await found(passages, "zebra") == ["a zebra is striped"]


@pytest.mark.slow
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
