"""A page of another site cannot use a visitor's gateway."""

import aiohttp
import pytest

from sage_chassis.origins import is_own
from tests.chassis.parts import create_app
from tests.fakes.cluster import serve


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("https://gateway.example", "gateway.example", True),
        ("http://LOCALHOST:8000", "localhost:8000", True),
        ("http://evil.example", "127.0.0.1:8000", False),
        ("http://127.0.0.1:9000", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000.evil.example", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000@evil.example", "127.0.0.1:8000", False),
        ("null", "127.0.0.1:8000", False),
        ("", "", False),
        ("http://[", "127.0.0.1:8000", False),
    ],
)
def test_an_origin_is_own_when_it_is_the_address_that_was_asked(origin: str, host: str, own: bool) -> None:
    assert is_own(origin, host) is own


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
async def test_a_foreign_page_is_refused_whatever_it_calls_its_body(content_type: str) -> None:
    headers = {"Origin": "http://evil.example", "Content-Type": content_type}
    async with (
        serve(create_app()) as url,
        aiohttp.ClientSession(url) as http,
        http.post("/notes/a", data=b'{"text": "x"}', headers=headers) as response,
    ):
        error = (await response.json())["error"]

    assert (response.status, error["code"]) == (403, "foreign_origin")


async def test_an_own_page_is_served() -> None:
    async with (
        serve(create_app()) as url,
        aiohttp.ClientSession(url) as http,
        http.post("/notes/a", json={"text": "x"}, headers={"Origin": url}) as response,
    ):
        assert response.status == 200
