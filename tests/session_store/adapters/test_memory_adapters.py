"""A model's own tokenizer, the rag-indexer over a socket, and shelves that do not grow for ever."""

from pathlib import Path

import aiohttp
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from sage_chassis.client import ServiceClient
from sage_contracts.errors import ServiceUnavailable
from sage_contracts.recollections import Recollection
from sage_contracts.sessions import MemoryChoice
from session_store.adapters.indexed_recollections import IndexedRecollections
from session_store.adapters.redis_keys import part
from session_store.adapters.redis_tenants import RedisTenants
from session_store.adapters.tokenizer_files import TokenizerFiles
from session_store.domain.memory import shelves
from session_store.domain.memory.notes import Note
from session_store.domain.ranges import Range
from tests.fakes.cluster import free_port
from tests.session_store.parts import Store, key, redis_client, redis_store


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """Each word is a token, however long."""
    made = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


async def test_a_model_is_counted_by_its_own_tokenizer(tokenizer: Path) -> None:
    files = TokenizerFiles({"tiny": tokenizer})
    count = await files.counter("tiny")

    assert count is not None
    assert [count(text) for text in ("", "one extraordinarilylongword two", "x " * 9_000)] == [0, 3, 9_000]
    assert await files.counter("other") is None
    assert await files.counter(None) is None
    assert files.models() == ["tiny"]


async def test_a_star_counts_for_every_other_model(tokenizer: Path) -> None:
    files = TokenizerFiles({"*": tokenizer})

    assert await files.counter("any") is await files.counter(None) is not None


@pytest.mark.parametrize("content", [None, "", "{}", "not JSON"])
async def test_a_tokenizer_that_cannot_be_read_is_as_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)

    assert await TokenizerFiles({"tiny": path}).counter("tiny") is None


async def test_a_rag_indexer_that_is_away_says_so() -> None:
    async with aiohttp.ClientSession() as http:
        away = IndexedRecollections(ServiceClient(http, f"http://127.0.0.1:{free_port()}", name="rag-indexer"))
        item = Recollection(id="m1", text="text", at=1.0, position=0)
        for call in (away.remember(key(), [item]), away.forget(key(), None)):
            with pytest.raises(ServiceUnavailable):
                await call
        with pytest.raises(ServiceUnavailable):
            await away.recall(key(), "text", within=(Range(0, 1),), top_k=1)


def note(number: int) -> Note:
    return Note(id=f"fact_{number}", kind="fact", text=str(number), at_us=number, position=number)


async def test_a_shelf_gives_up_its_oldest(place: Store) -> None:
    await place.sessions.create(key(), title="", now_us=1)
    most = shelves.NOTES_AT_MOST
    await place.shelves.add(key(), "facts", [note(number) for number in range(most)])
    await place.shelves.add(key(), "facts", [note(most), note(most + 1)])

    kept = {found.text for found in await place.shelves.all(key(), "facts")}

    assert (len(kept), "1" in kept, "2" in kept, str(most + 1) in kept) == (most, False, True, True)


async def test_nothing_is_kept_of_a_session_there_is_not(place: Store) -> None:
    assert not await place.shelves.add(key(), "facts", [note(1)])
    assert await place.shelves.all(key(), "facts") == []


async def test_notes_expire_with_their_session(redis_url: str) -> None:
    async with redis_client(redis_url) as redis:
        store = redis_store(redis, ttl_ms=60_000)
        await store.sessions.create(key(), title="", now_us=1)
        await store.shelves.add(key(), "relations", [note(1)])

        left = await redis.pttl(part(key(), "relations"))
        ends = [await redis.pexpiretime(part(key(), name)) for name in ("meta", "relations")]

    assert 0 < left <= 60_000
    assert abs(ends[0] - ends[1]) < 100


async def test_the_sessions_that_the_rag_indexer_knows_are_listed(redis_url: str) -> None:
    async with redis_client(redis_url) as redis:
        tenants = RedisTenants(redis)
        await tenants.add(key())
        found = [await tenants.has(key()), await tenants.has(key(owner="bob"))]
        some = await tenants.some(10)
        await tenants.remove(key())

        assert [*found, await tenants.has(key())] == [True, False, False]
        assert (some, await tenants.some(10)) == ([key()], [])


async def test_the_stocks_of_many_sessions_come_in_their_order(place: Store) -> None:
    keys = [key(f"s{number}") for number in range(230)]
    for number in (0, 99, 100, 229):
        await place.sessions.create(keys[number], title="", now_us=1, choice=MemoryChoice(backend="kv"))
        await place.shelves.add(keys[number], "facts", [note(1)])

    stocks = await place.shelves.stocks(keys)

    assert [number for number, stock in enumerate(stocks) if stock.notes["facts"]] == [0, 99, 100, 229]
    assert [stock.choice for stock in stocks].count(MemoryChoice(backend="kv")) == 4
    assert (len(stocks), await place.shelves.stocks([])) == (230, [])
