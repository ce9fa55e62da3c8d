"""Whatever is sent to whichever POST route, through nginx: a 4xx in the OpenAI envelope; no 5xx, no hang."""

import io
import json
import re

import aiohttp
import pytest
from yarl import URL

from sage_contracts.call import Empty
from tests.architecture.test_contracts import FOLDERS, calls
from tests.fakes.bad_bodies import BAD_BODIES, BAD_IDS, HUGE_BODY
from tests.fakes.stack import Stack

OPTIONAL_BODY = {
    *("/sessions", "/api/chat/sessions", "/admin/index/build", "/admin/index/cancel", "/admin/index/rollback"),
    "/v1/vector_stores",
}
"""Routes whose body may be left out: an empty one is no mistake there."""

PART = re.compile(r"\{\w+\}")
POSTS = sorted(
    {
        PART.sub("an-id", call.path)
        for folder in FOLDERS
        for call in calls(folder).values()
        if call.method == "POST" and call.request is not Empty and not call.path.startswith("/internal")
    }
)
LIMIT = aiohttp.ClientTimeout(total=60)


WITH_AN_ID = sorted(
    (call.method, PART.sub("{}", call.path))
    for folder in FOLDERS
    for call in calls(folder).values()
    if "{" in call.path and not call.path.startswith("/internal")
)


async def refused(response: aiohttp.ClientResponse) -> tuple[int, str]:
    """Status and code of an answer, which must be in the OpenAI envelope."""
    text = await response.text()
    error = json.loads(text)["error"]
    assert {"message", "type", "code", "param"} <= error.keys(), text
    assert error["message"]
    return response.status, error["code"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused(stack: Stack, path: str, name: str) -> None:
    async with (
        aiohttp.ClientSession(stack.url, timeout=LIMIT) as http,
        http.post(path, data=BAD_BODIES[name]) as response,
    ):
        if name == "empty" and path in OPTIONAL_BODY:
            assert response.status < 500
            return
        status, _ = await refused(response)

    assert 400 <= status < 500


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_over_the_limit_is_a_413(stack: Stack, path: str) -> None:
    """It is refused before it is sent: a client that was still sending could not close its connection in time."""
    async with (
        aiohttp.ClientSession(stack.url, timeout=LIMIT) as http,
        http.post(path, data=io.BytesIO(HUGE_BODY), expect100=True) as response,
    ):
        assert await refused(response) == (413, "body_too_large")


@pytest.mark.parametrize(("method", "path"), WITH_AN_ID)
@pytest.mark.parametrize("name", BAD_IDS)
async def test_an_id_that_could_break_a_path_is_refused(stack: Stack, method: str, path: str, name: str) -> None:
    url = URL(stack.url + path.replace("{}", name), encoded=True)
    body = {"title": "x"} if method == "PATCH" else None
    async with aiohttp.ClientSession(timeout=LIMIT) as http, http.request(method, url, json=body) as response:
        status, _ = await refused(response)

    assert 400 <= status < 500


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "x" * 129, "", "é"])
async def test_a_session_id_in_a_chat_is_checked(stack: Stack, name: str) -> None:
    body = {"model": "any", "messages": [{"role": "user", "content": "Hi"}], "session_id": name}
    async with (
        aiohttp.ClientSession(stack.url, timeout=LIMIT) as http,
        http.post("/v1/chat/completions", json=body) as response,
    ):
        status, _ = await refused(response)

    assert status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/internal/fleet",
        "/internal/sessions/stats",
        "/metrics",
        "/livez",
        "/readyz",
        "//internal/fleet",
        "/%69nternal/fleet",
        "/sessions/../internal/fleet",
        "/v1/../metrics",
        "/api/internal/fleet",
        "/api/metrics",
        "/nope",
    ],
)
async def test_what_is_internal_stays_inside(stack: Stack, path: str) -> None:
    async with aiohttp.ClientSession(timeout=LIMIT) as http, http.get(URL(stack.url + path, encoded=True)) as response:
        assert await refused(response) == (404, "unknown_route")
