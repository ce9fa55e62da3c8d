"""What every service does, whatever it is for."""

import asyncio
import io
from collections.abc import AsyncIterator

import aiohttp
import pytest

from sage_chassis.health import Health
from sage_contracts.service import Check
from tests.chassis.parts import Desk, create_app
from tests.fakes.bad_bodies import BAD_BODIES, HUGE_BODY
from tests.fakes.cluster import serve


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with serve(create_app()) as url, aiohttp.ClientSession(url) as session:
        yield session


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_a_400_in_the_openai_envelope(http: aiohttp.ClientSession, name: str) -> None:
    async with http.post("/notes/a", data=BAD_BODIES[name]) as response:
        error = (await response.json())["error"]

    assert (response.status, error["code"], error["type"]) == (400, "invalid_request", "invalid_request_error")
    assert error["message"]


async def test_a_body_over_the_limit_is_a_413(http: aiohttp.ClientSession) -> None:
    async with http.post("/notes/a", data=io.BytesIO(HUGE_BODY)) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (413, "body_too_large")


async def test_a_413_about_a_body_that_has_been_read_is_told_at_once(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(15), http.post("/notes/large", json={"text": "x"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (413, "body_too_large")


async def test_a_wrong_field_is_named(http: aiohttp.ClientSession) -> None:
    async with http.post("/notes/a", json={"text": 3}) as response:
        error = (await response.json())["error"]

    assert (error["message"], error["param"]) == ("text: Expected `str`, got `int`", "text")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body: it is empty"),
        (b"null", "the body: Expected `object`, got `null`"),
        (b"{}", "the body: Object missing required field `text`"),
    ],
)
async def test_what_is_wrong_with_the_body_as_a_whole_is_said_of_the_body(
    http: aiohttp.ClientSession, body: bytes, message: str
) -> None:
    async with http.post("/notes/a", data=body) as response:
        error = (await response.json())["error"]

    assert (response.status, error["message"], error["param"]) == (400, message, None)


async def test_an_unknown_path_is_not_a_missing_thing(http: aiohttp.ClientSession) -> None:
    async with http.get("/nope") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "unknown_route")


async def test_a_wrong_method_says_which_are_right(http: aiohttp.ClientSession) -> None:
    async with http.get("/notes/a") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (405, "method_not_allowed")
        assert "POST" in response.headers["Allow"]


async def test_a_busy_answer_says_when_to_come_back(http: aiohttp.ClientSession) -> None:
    async with http.get("/fail/busy") as response:
        error = (await response.json())["error"]

    assert (response.status, response.headers["Retry-After"], error["param"]) == (503, "2", "model")
    assert "x-should-retry" not in response.headers


async def test_what_must_not_be_repeated_says_so_to_the_sdks(http: aiohttp.ClientSession) -> None:
    async with http.get("/fail/broke") as response:
        assert (response.status, response.headers["x-should-retry"]) == (502, "false")


async def test_a_bug_is_a_500_that_tells_nothing(http: aiohttp.ClientSession) -> None:
    async with http.get("/fail/bug") as response:
        text = await response.text()

    assert response.status == 500
    assert "secret" not in text


async def test_a_harmless_request_id_is_kept_and_others_are_replaced(http: aiohttp.ClientSession) -> None:
    async with http.get("/id", headers={"X-Request-Id": "abc-1"}) as kept:
        assert (kept.headers["X-Request-Id"], (await kept.json())["request_id"]) == ("abc-1", "abc-1")
    async with http.get("/id", headers={"X-Request-Id": 'x" injected'}) as replaced:
        assert len(replaced.headers["X-Request-Id"]) == 32


async def test_metrics_count_by_route_and_never_by_path(http: aiohttp.ClientSession) -> None:
    for name in ("secret-id-1", "secret-id-2"):
        async with http.post(f"/notes/{name}", json={"text": "x"}) as response:
            await response.read()
    async with http.get("/metrics") as response:
        text = await response.text()

    assert 'sage_http_requests_total{method="POST",route="/notes/{name}",service="notes",status="200"} 2.0' in text
    assert "secret-id" not in text


async def test_a_failure_in_mid_stream_is_told_in_the_stream(http: aiohttp.ClientSession) -> None:
    async with http.get("/stream/broke") as response:
        text = await response.text()

    assert response.status == 200
    assert text.startswith("data: 1\n\ndata: ")
    assert '"code":"engine_broke_off"' in text
    assert "[DONE]" not in text


async def test_a_bug_in_mid_stream_tells_nothing(http: aiohttp.ClientSession) -> None:
    async with http.get("/stream/bug") as response:
        text = await response.text()

    assert '"code":"internal_error"' in text
    assert "secret" not in text


async def test_a_silent_stream_is_kept_open_with_pings_and_ends_whole() -> None:
    desk = Desk()
    async with serve(create_app(desk)) as url, aiohttp.ClientSession(url) as http, http.get("/stream/ok") as response:
        seen = b""
        while b": ping\n\n" not in seen:
            seen += await response.content.readany()
        desk.finish.set()
        seen += await response.content.read()

    assert seen.replace(b": ping\n\n", b"") == b"data: 1\n\ndata: 2\n\n"


async def test_a_client_that_leaves_ends_the_stream_at_its_source() -> None:
    desk = Desk()
    async with serve(create_app(desk)) as url:
        async with aiohttp.ClientSession(url) as http, http.get("/stream/ok") as response:
            await response.content.readany()
        async with asyncio.timeout(30):
            await desk.left.wait()


@pytest.mark.parametrize(
    ("required", "optional", "status", "word"),
    [(True, True, 200, "ready"), (True, False, 200, "degraded"), (False, True, 503, "not_ready")],
)
async def test_readiness_is_decided_by_the_required_checks(
    required: bool, optional: bool, status: int, word: str
) -> None:
    async def needed() -> Check:
        return Check(ok=required)

    async def nice() -> Check:
        return Check(ok=optional, detail="a detail")

    health = Health("notes", required={"needed": needed}, optional={"nice": nice})
    async with serve(create_app(health=health)) as url, aiohttp.ClientSession(url) as http:
        async with http.get("/readyz") as ready:
            assert (ready.status, (await ready.json())["status"]) == (status, word)
        async with http.get("/livez") as live:
            assert live.status == 200


@pytest.mark.slow
async def test_a_check_that_hangs_is_a_failed_check() -> None:
    async def hanging() -> Check:
        await asyncio.Event().wait()
        return Check(ok=True)

    health = Health("notes", required={"hanging": hanging})

    assert (await health.readiness()).checks["hanging"] == Check(ok=False, detail="no answer in time")
