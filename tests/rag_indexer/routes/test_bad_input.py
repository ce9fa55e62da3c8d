"""What no route may fall over."""

import io
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.bad_bodies import BAD_BODIES, HUGE_BODY
from tests.rag_indexer.parts import edge_desk

SEARCHES = ("/v1/retrieval/search", "/internal/search")
OPTIONAL = ("/admin/index/build", "/admin/index/cancel", "/admin/index/rollback")
"""An absent body is one without fields."""

ROUTES = (*SEARCHES, *OPTIONAL, "/admin/index/documents")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncGenerator[str]:
    async with edge_desk(tmp_path) as desk, desk.served() as served:
        yield served


async def refused(url: str, body: bytes) -> tuple[int, str]:
    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession() as http, http.post(url, data=io.BytesIO(body), headers=headers) as response:
        return response.status, (await response.json())["error"]["code"]


@pytest.mark.parametrize("path", SEARCHES)
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_body_that_is_no_search_is_a_400(url: str, path: str, name: str) -> None:
    assert await refused(url + path, BAD_BODIES[name]) == (400, "invalid_request")


@pytest.mark.parametrize("path", OPTIONAL)
@pytest.mark.parametrize("name", sorted(BAD_BODIES.keys() - {"empty"}))
async def test_a_body_that_asks_for_nothing_known_is_a_400(url: str, path: str, name: str) -> None:
    assert await refused(url + path, BAD_BODIES[name]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.slow
async def test_a_body_of_30_mb_is_a_413(url: str, path: str) -> None:
    assert await refused(url + path, HUGE_BODY) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/admin/index/build", 405, "method_not_allowed"),
        ("DELETE", "/v1/retrieval/search", 405, "method_not_allowed"),
        ("POST", "/admin/index", 405, "method_not_allowed"),
        ("POST", "/admin/index/status", 405, "method_not_allowed"),
        ("GET", "/admin/index/nope", 404, "unknown_route"),
        ("GET", "/", 404, "unknown_route"),
    ],
)
async def test_a_wrong_method_or_path_is_in_the_envelope(
    url: str, method: str, path: str, status: int, code: str
) -> None:
    async with aiohttp.ClientSession() as http, http.request(method, url + path) as response:
        answer = await response.json()

    assert (response.status, answer["error"]["code"]) == (status, code)
