"""What vector stores and files refuse, and what they say then."""

import io
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from yarl import URL

from tests.fakes.bad_bodies import BAD_BODIES, BAD_IDS, HUGE_BODY
from tests.rag_indexer.parts import Desk
from tests.rag_indexer.routes.vector_stores.scene import PUMP, named, sdk

pytestmark = pytest.mark.slow


LONG = {f"key{number}": "x" for number in range(17)}


async def test_what_does_not_map_is_refused_and_named(client: AsyncOpenAI) -> None:
    store = (await client.vector_stores.create(name="manuals")).id
    readable = (await client.files.create(file=named("a.md", PUMP), purpose="assistants")).id
    picture = (await client.files.create(file=named("a.png", b"png"), purpose="assistants")).id
    static: Any = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
    expiry: Any = {"anchor": "last_active_at", "days": 7}
    stores, files = client.vector_stores, client.vector_stores.files

    def searched(**fields: Any) -> Any:
        return stores.search(store, **{"query": "pump", **fields})

    refused: list[tuple[Callable[[], Any], str | None]] = [
        (lambda: stores.create(expires_after=expiry), "expires_after"),
        (lambda: stores.create(metadata=LONG), "metadata"),
        (lambda: stores.create(file_ids=[readable], chunking_strategy=static), "chunking_strategy"),
        (lambda: stores.update(store, expires_after=expiry), "expires_after"),
        (lambda: stores.update(store, metadata={"x" * 65: "y"}), "metadata"),
        (lambda: files.create(store, file_id=readable, chunking_strategy=static), "chunking_strategy"),
        (lambda: files.create(store, file_id=readable, attributes={"file_id": "mine"}), "attributes"),
        (lambda: files.create(store, file_id=readable, attributes={"x": "y" * 513}), "attributes"),
        (lambda: files.create(store, file_id=picture), None),
        (lambda: searched(query=["one", "two"]), "query"),
        (lambda: searched(query=""), "query"),
        (lambda: searched(query="x" * 20_001), "query"),
        (lambda: searched(rewrite_query=True), "rewrite_query"),
        (lambda: searched(max_num_results=51), "max_num_results"),
        (lambda: searched(ranking_options={"score_threshold": "high"}), "ranking_options"),
        (lambda: searched(filters={"type": "ne", "key": "a", "value": "b"}), "filters"),
        (lambda: searched(filters={"type": "or", "filters": []}), "filters"),
        (lambda: searched(filters={"type": "eq", "key": "a", "value": {"b": 1}}), "filters"),
        (
            lambda: searched(
                filters={"type": "and", "filters": [{"type": "eq", "key": "a", "value": n} for n in "bc"]}
            ),
            "filters",
        ),
        (lambda: stores.list(limit=101), "limit"),
        (lambda: files.list(store, order="sideways"), "order"),  # type: ignore[arg-type]
        (lambda: client.files.create(file=named("a.jsonl", b"{}"), purpose="batch"), "purpose"),
        (lambda: client.files.create(file=named("...", b"x"), purpose="assistants"), "name"),
        (lambda: client.files.create(file=named("a.md", b"x" * 100_001), purpose="assistants"), "file"),
        (
            lambda: client.files.create(
                file=named("a.md", b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
            ),
            "expires_after",
        ),
    ]
    for call, param in refused:
        with pytest.raises(BadRequestError) as raised:
            await call()

        assert (raised.value.code, raised.value.param) == ("invalid_request", param)
    assert len((await stores.list()).data) == 1
    assert (await files.list(store)).data == []


async def test_what_is_not_there_is_a_404(client: AsyncOpenAI) -> None:
    store = (await client.vector_stores.create()).id
    stores, files = client.vector_stores, client.vector_stores.files
    missing: list[tuple[Callable[[], Any], str]] = [
        (lambda: stores.retrieve("vs_nobody"), "collection_not_found"),
        (lambda: stores.retrieve("manuals"), "collection_not_found"),
        (lambda: stores.retrieve("vs_" + "x" * 99), "collection_not_found"),
        (lambda: stores.update("vs_nobody", name="x"), "collection_not_found"),
        (lambda: stores.delete("vs_nobody"), "collection_not_found"),
        (lambda: stores.search("vs_nobody", query="x"), "collection_not_found"),
        (lambda: stores.create(file_ids=["file-0"]), "document_not_found"),
        (lambda: files.create("vs_nobody", file_id="file-0"), "collection_not_found"),
        (lambda: files.create(store, file_id="file-0"), "document_not_found"),
        (lambda: files.list("vs_nobody"), "collection_not_found"),
        (lambda: files.retrieve("file-0", vector_store_id=store), "document_not_found"),
        (lambda: files.update("file-0", vector_store_id=store, attributes={}), "document_not_found"),
        (lambda: files.delete("file-0", vector_store_id=store), "document_not_found"),
        (lambda: client.files.retrieve("file-0"), "document_not_found"),
        (lambda: client.files.retrieve("nonsense"), "document_not_found"),
        (lambda: client.files.content("file-0"), "document_not_found"),
        (lambda: client.files.delete("file-0"), "document_not_found"),
    ]
    for call, code in missing:
        with pytest.raises(NotFoundError) as raised:
            await call()

        assert raised.value.code == code


async def test_a_form_without_a_file_is_refused(desk: Desk) -> None:
    async with sdk(desk) as client:
        for body in ({"data": {"purpose": "assistants"}}, {"json": {"purpose": "assistants"}}, {"content": b""}):
            response = await client._client.post(f"{client.base_url}files", **body)

            assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")


async def test_bad_bodies_are_refused_everywhere(desk: Desk) -> None:
    """An absent body makes a store without a name."""
    paths = ("", "/vs_manuals", "/vs_manuals/search", "/vs_manuals/files", "/vs_manuals/files/file-0")
    async with desk.served() as url, aiohttp.ClientSession() as http:
        stores = [f"{url}/v1/vector_stores{path}" for path in paths]
        refused = {(address, name): (400, "invalid_request") for address in stores for name in BAD_BODIES}
        refused |= {(address, "huge"): (413, "body_too_large") for address in stores}
        del refused[stores[0], "empty"]
        refused[f"{url}/v1/files", "not an object"] = (400, "invalid_request")
        for (address, name), expected in refused.items():
            body = io.BytesIO(BAD_BODIES.get(name, HUGE_BODY))
            async with http.post(address, data=body, headers={"content-type": "application/json"}) as response:
                told = (response.status, (await response.json())["error"]["code"])

            assert told == expected, (address, name)


async def test_a_file_of_30_mb_is_a_413(desk: Desk) -> None:
    form = aiohttp.FormData({"purpose": "assistants"})
    form.add_field("file", io.BytesIO(HUGE_BODY), filename="huge.md")
    async with (
        desk.served() as url,
        aiohttp.ClientSession() as http,
        http.post(f"{url}/v1/files", data=form) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (413, "body_too_large")


async def test_ids_that_could_lead_elsewhere_name_nothing(desk: Desk) -> None:
    async with desk.served() as url, aiohttp.ClientSession() as http:
        for bad in BAD_IDS:
            for path in (f"vector_stores/{bad}", f"vector_stores/vs_{bad}", f"files/{bad}", f"files/file-{bad}"):
                async with http.get(URL(f"{url}/v1/{path}", encoded=True)) as response:
                    assert response.status == 404, path
