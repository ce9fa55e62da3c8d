"""What no client should send: a 4xx in the OpenAI envelope on every route, never a 5xx, never a hang."""

import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from tests.fakes.bad_bodies import BAD_BODIES, BAD_IDS, HUGE_BODY
from tests.session_store.parts import Clock, desk_over, memory_store

WITH_BODY = [
    ("POST", "/sessions"),
    ("PATCH", "/sessions/s1/title"),
    ("POST", "/sessions/s1/fork"),
    ("POST", "/internal/sessions/s1/turns"),
    ("POST", "/internal/sessions/s1/turns/commit"),
    ("POST", "/internal/sessions/s1/turns/renew"),
    ("POST", "/internal/sessions/s1/turns/abandon"),
]
WITHOUT_BODY = [
    ("POST", "/sessions/s1/clear"),
    ("POST", "/sessions/cleanup"),
    ("POST", "/sessions/s1/branches/main/select"),
]
MAY_BE_EMPTY = {"/sessions", "/sessions/s1/fork"}
WITH_ID = [
    ("GET", "/sessions/{id}"),
    ("DELETE", "/sessions/{id}"),
    ("POST", "/sessions/{id}/clear"),
    ("PATCH", "/sessions/{id}/title"),
    ("POST", "/sessions/{id}/fork"),
    ("GET", "/sessions/{id}/branches"),
    ("POST", "/sessions/{id}/branches/main/select"),
    ("POST", "/sessions/s1/branches/{id}/select"),
    ("POST", "/internal/sessions/{id}/turns"),
    ("POST", "/internal/sessions/{id}/turns/commit"),
    ("POST", "/internal/sessions/{id}/turns/renew"),
    ("POST", "/internal/sessions/{id}/turns/abandon"),
]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    clock = Clock()
    async with desk_over(memory_store(clock), clock).served() as address:
        yield address


async def refused(url: URL | str, method: str, data: object = None) -> tuple[int, dict[str, object]]:
    async with aiohttp.ClientSession() as http, http.request(method, url, data=data) as response:
        return response.status, (await response.json())["error"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        (method, path, name)
        for method, path in WITH_BODY
        for name in BAD_BODIES
        if name != "empty" or path not in MAY_BE_EMPTY
    ],
)
async def test_a_bad_body_is_a_400(url: str, method: str, path: str, name: str) -> None:
    status, error = await refused(url + path, method, BAD_BODIES[name])

    assert (status, error["code"], error["type"]) == (400, "invalid_request", "invalid_request_error")


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_a_huge_body_is_a_413(url: str, method: str, path: str) -> None:
    status, error = await refused(url + path, method, io.BytesIO(HUGE_BODY))

    assert (status, error["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(("method", "path"), WITHOUT_BODY)
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_body_nobody_asked_for_does_no_harm(url: str, method: str, path: str, name: str) -> None:
    async with aiohttp.ClientSession() as http, http.request(method, url + path, data=BAD_BODIES[name]) as response:
        assert response.status in {200, 400, 404}


@pytest.mark.parametrize(("method", "path"), WITH_ID)
@pytest.mark.parametrize("name", BAD_IDS)
async def test_a_bad_id_is_a_4xx(url: str, method: str, path: str, name: str) -> None:
    body = b'{"title": "x", "turn_id": "1", "messages": [{"role": "user", "content": "x"}]}'
    status, error = await refused(URL(url + path.replace("{id}", name), encoded=True), method, body)

    assert 400 <= status < 500
    assert error["code"] in {"invalid_request", "unknown_route", "method_not_allowed", "session_not_found"}


@pytest.mark.parametrize(("method", "path"), [("PUT", "/sessions"), ("GET", "/sessions/cleanup")])
async def test_a_wrong_method_is_a_405(url: str, method: str, path: str) -> None:
    status, error = await refused(url + path, method)

    assert (status, error["code"]) == (405, "method_not_allowed")


async def test_an_unknown_path_is_not_a_missing_session(url: str) -> None:
    status, error = await refused(f"{url}/sessions/a/b/c", "GET")

    assert (status, error["code"]) == (404, "unknown_route")
