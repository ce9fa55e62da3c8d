"""One suite over every store of recollections: a tenant's are found, replaced, removed, and nobody else's ever."""

import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_edge import EdgeShard, UpdateOperation

from rag_indexer.adapters.data_folder import DataFolderInUse
from rag_indexer.adapters.edge_recollections import edge_recollections
from rag_indexer.adapters.qdrant_recollections import QdrantRecollections, qdrant_recollections
from rag_indexer.domain.documents import Vectors
from rag_indexer.domain.recollections import Kept, RecollectionStore, StoredRecollection
from sage_contracts import names
from sage_contracts.errors import StoreUnavailable
from tests.fakes.cluster import free_port
from tests.rag_indexer.parts import DIMENSIONS, query

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

SERVER_URL = os.environ.get("SAGE_TEST_QDRANT_URL", "")
ALICE, BOB = "alice/s1", "bob/s1"


@asynccontextmanager
async def in_memory() -> AsyncGenerator[QdrantRecollections]:
    client = AsyncQdrantClient(":memory:")
    yield QdrantRecollections(client, fingerprint="words", dimensions=DIMENSIONS)
    await client.close()


@pytest.fixture(params=["edge", "memory", *(["server"] if SERVER_URL else [])])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[RecollectionStore]:
    opened: AbstractAsyncContextManager[RecollectionStore]
    match request.param:
        case "edge":
            opened = edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS)
        case "memory":
            opened = in_memory()
        case _:
            name = f"test-{uuid.uuid4().hex}"
            opened = qdrant_recollections(SERVER_URL, None, fingerprint=name, dimensions=DIMENSIONS)
    async with opened as found:
        yield found


def kept(tenant: str, name: str, text: str, position: int = 0) -> Kept:
    vectors = query(text)
    one = StoredRecollection(tenant=tenant, id=name, text=text, at=1.5, position=position)
    return Kept(one, Vectors(vectors.sparse, vectors.dense))


async def found(store: RecollectionStore, tenant: str, text: str, limit: int = 10) -> tuple[list[str], list[str]]:
    """The texts found by words, and by meaning."""
    candidates = await store.search(tenant, query(text), limit=limit)
    return (
        [one.recollection.text for one in candidates.by_words],
        [one.recollection.text for one in candidates.by_meaning],
    )


async def test_where_nothing_was_put_nothing_is_found_or_removed(store: RecollectionStore) -> None:
    assert await found(store, ALICE, "zebra") == ([], [])
    assert await store.remove(ALICE, None) == 0


async def test_what_was_put_is_found_by_words_and_by_meaning(store: RecollectionStore) -> None:
    await store.put([kept(ALICE, "m1", "a zebra is striped", 4), kept(ALICE, "m2", "the moon is round", 6)])

    candidates = await store.search(ALICE, query("zebra"), limit=10)

    assert [one.recollection.id for one in candidates.by_words] == ["m1"]
    assert candidates.by_meaning[0].recollection == StoredRecollection(
        tenant=ALICE, id="m1", text="a zebra is striped", at=1.5, position=4
    )


async def test_what_stands_elsewhere_is_not_found_however_well_it_fits(store: RecollectionStore) -> None:
    await store.put([kept(ALICE, f"m{number}", "the zebra is striped", number) for number in range(4, 100)])
    await store.put([kept(ALICE, f"m{number}", "a zebra and the moon", number) for number in range(4)])
    await store.put([kept(BOB, "m1", "the zebra is striped", 1)])
    candidates = await store.search(ALICE, query("the zebra"), limit=10, within=[(1, 3), (97, 98), (200, 300)])

    for ranking in (candidates.by_words, candidates.by_meaning):
        assert {one.recollection.position for one in ranking} == {1, 2, 97}
        assert {one.recollection.tenant for one in ranking} == {ALICE}


async def test_nobody_elses_are_found_however_well_they_fit(store: RecollectionStore) -> None:
    await store.put([kept(BOB, f"m{number}", "the zebra is striped") for number in range(50)])
    await store.put([kept(ALICE, "m1", "the moon is round")])

    assert await found(store, ALICE, "zebra", limit=5) == ([], ["the moon is round"])
    assert await found(store, "alice/s2", "zebra") == ([], [])


async def test_how_rare_a_word_is_counts_within_the_tenant_alone(store: RecollectionStore) -> None:
    await store.put([kept(ALICE, "m1", "zebra"), kept(ALICE, "m2", "moon")])
    alone = (await store.search(ALICE, query("zebra"), limit=1)).by_words[0].score
    await store.put([kept(BOB, f"m{number}", "zebra") for number in range(50)])

    assert (await store.search(ALICE, query("zebra"), limit=1)).by_words[0].score == pytest.approx(alone)


async def test_a_later_one_of_the_same_id_replaces_it_in_its_tenant_alone(store: RecollectionStore) -> None:
    await store.put([kept(ALICE, "m1", "a zebra"), kept(BOB, "m1", "a zebra")])
    await store.put([kept(ALICE, "m1", "a moon")])

    assert (await found(store, ALICE, "zebra"))[0] == []
    assert (await found(store, ALICE, "moon"))[0] == ["a moon"]
    assert (await found(store, BOB, "zebra"))[0] == ["a zebra"]


async def test_some_are_removed_by_id_and_counted(store: RecollectionStore) -> None:
    await store.put([kept(ALICE, "m1", "a zebra"), kept(ALICE, "m2", "a moon"), kept(BOB, "m1", "a zebra")])

    assert await store.remove(ALICE, ["m1", "m9"]) == 1
    assert await found(store, ALICE, "zebra") == ([], ["a moon"])
    assert (await found(store, BOB, "zebra"))[0] == ["a zebra"]


async def test_all_but_some_are_removed_and_counted(store: RecollectionStore) -> None:
    await store.put([kept(ALICE, f"m{number}", "a zebra") for number in range(3)])
    await store.put([kept(BOB, "m1", "a zebra")])

    assert await store.remove(ALICE, None, keep=["m1", "m9"]) == 2
    assert (await found(store, ALICE, "zebra"))[0] == ["a zebra"]
    assert await store.remove(ALICE, ["m1"], keep=["m1"]) == 0
    assert (await found(store, BOB, "zebra"))[0] == ["a zebra"]


async def test_all_of_a_tenant_are_removed_and_counted(store: RecollectionStore) -> None:
    await store.put([kept(ALICE, f"m{number}", "a zebra") for number in range(300)])
    await store.put([kept(BOB, "m1", "a zebra")])

    assert await store.remove(ALICE, None) == 300
    assert await store.remove(ALICE, None) == 0
    assert await found(store, ALICE, "zebra") == ([], [])
    assert (await found(store, BOB, "zebra"))[0] == ["a zebra"]


async def test_on_a_server_their_name_is_none_that_a_collection_can_have() -> None:
    client = AsyncQdrantClient(":memory:")
    await QdrantRecollections(client, fingerprint="words", dimensions=DIMENSIONS).put([kept(ALICE, "m1", "a zebra")])
    (made,) = (await client.get_collections()).collections
    await client.close()

    assert not names.is_collection(made.name)


async def test_edge_keeps_them_over_a_restart_without_being_closed(tmp_path: Path) -> None:
    opened = edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS)
    async with opened as store:
        await store.put([kept(ALICE, "m1", "a zebra")])
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as again:
        told = await found(again, ALICE, "zebra")

    assert told[0] == ["a zebra"]


async def test_edge_finds_by_position_in_what_had_no_index_of_it(tmp_path: Path) -> None:
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        await store.put([kept(ALICE, f"m{number}", "a zebra", number) for number in range(3)])
    shard = EdgeShard.load(str(tmp_path / "words"))
    shard.update(UpdateOperation.delete_field_index("position"))
    shard.close()
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        candidates = await store.search(ALICE, query("zebra"), limit=10, within=[(1, 2)])
    shard = EdgeShard.load(str(tmp_path / "words"))
    indexed = set(shard.info().payload_schema)
    shard.close()

    assert ([one.recollection.id for one in candidates.by_words], indexed) == (["m1"], {"tenant", "position"})


async def test_edge_keeps_those_of_another_encoder_apart(tmp_path: Path) -> None:
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        await store.put([kept(ALICE, "m1", "a zebra")])
    async with edge_recollections(tmp_path, fingerprint="others", dimensions=DIMENSIONS) as other:
        told = await found(other, ALICE, "zebra")

    assert told == ([], [])


async def test_edge_puts_aside_what_cannot_be_opened_and_begins_anew(tmp_path: Path) -> None:
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        await store.put([kept(ALICE, "m1", "a zebra")])
    (tmp_path / "words" / "edge_config.json").write_text("{")
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        gone = await found(store, ALICE, "zebra")
        await store.put([kept(ALICE, "m2", "a moon")])
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        new = await found(store, ALICE, "moon")
    (aside,) = tmp_path.glob("words.broken-*")

    assert (gone, new[0], (aside / "edge_config.json").read_text()) == (([], []), ["a moon"], "{")


async def test_edge_puts_nothing_aside_while_no_new_one_can_be_made(tmp_path: Path) -> None:
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        await store.put([kept(ALICE, "m1", "a zebra")])
    config = tmp_path / "words" / "edge_config.json"
    whole = config.read_text()
    config.write_text("{")
    (tmp_path / "words.new").touch()  # in the way
    with pytest.raises(StoreUnavailable):
        async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS):
            pass
    config.write_text(whole)
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        assert (await found(store, ALICE, "zebra"))[0] == ["a zebra"]


@pytest.mark.parametrize("left", ["words", "words.new"])
async def test_edge_begins_where_a_first_start_was_killed(tmp_path: Path, left: str) -> None:
    (tmp_path / left).mkdir()
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS) as store:
        await store.put([kept(ALICE, "m1", "a zebra")])

        assert (await found(store, ALICE, "zebra"))[0] == ["a zebra"]


async def test_edge_has_one_opener(tmp_path: Path) -> None:
    async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS):
        with pytest.raises(DataFolderInUse):
            async with edge_recollections(tmp_path, fingerprint="words", dimensions=DIMENSIONS):
                pass


async def test_a_server_that_is_away_is_store_unavailable() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with qdrant_recollections(url, None, fingerprint="words", dimensions=DIMENSIONS) as store:
        with pytest.raises(StoreUnavailable):
            await store.put([kept(ALICE, "m1", "a zebra")])
        with pytest.raises(StoreUnavailable):
            await store.search(ALICE, query("zebra"), limit=1)
        with pytest.raises(StoreUnavailable):
            await store.remove(ALICE, None)
