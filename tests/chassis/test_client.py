"""Typed in, typed out; the other service's errors are raised here."""

import aiohttp
import pytest

from sage_chassis import logs
from sage_chassis.client import ServiceClient
from sage_contracts.call import Empty
from sage_contracts.errors import NoEngineAvailable, ServiceUnavailable, UnknownRoute, UpstreamError
from tests.chassis.parts import ECHO, FAIL, ID, SLOW, WRONG, Note, create_app
from tests.fakes.cluster import free_port, serve


async def test_a_call_goes_there_and_back() -> None:
    async with serve(create_app()) as url, aiohttp.ClientSession() as http:
        notes = ServiceClient(http, url, name="notes")

        assert await notes.call(ECHO, Note(text="ü", count=2), name="a b") == Note(text="ü", count=2)


async def test_the_services_error_is_raised_here() -> None:
    async with serve(create_app()) as url, aiohttp.ClientSession() as http:
        with pytest.raises(NoEngineAvailable, match="nobody here") as caught:
            await ServiceClient(http, url, name="notes").call(FAIL, Empty(), kind="busy")

    assert (caught.value.param, caught.value.retry_after) == ("model", 2)


async def test_a_wrong_path_is_not_a_missing_thing() -> None:
    async with serve(create_app()) as url, aiohttp.ClientSession() as http:
        with pytest.raises(UnknownRoute):
            await ServiceClient(http, url + "/v9", name="notes").call(ID, Empty())


async def test_an_answer_of_another_shape_is_an_upstream_error() -> None:
    async with serve(create_app()) as url, aiohttp.ClientSession() as http:
        with pytest.raises(UpstreamError, match="notes answered GET /wrong with something else"):
            await ServiceClient(http, url, name="notes").call(WRONG, Empty())


async def test_a_service_that_is_away_is_unavailable() -> None:
    async with aiohttp.ClientSession() as http:
        away = ServiceClient(http, f"http://127.0.0.1:{free_port()}", name="notes")
        with pytest.raises(ServiceUnavailable, match="notes cannot be reached") as caught:
            await away.call(ID, Empty())

    assert caught.value.retry_after == 1


async def test_a_service_that_is_slow_is_unavailable() -> None:
    async with serve(create_app()) as url, aiohttp.ClientSession() as http:
        with pytest.raises(ServiceUnavailable, match="in time"):
            await ServiceClient(http, url, name="notes", timeout=0.1).call(SLOW, Empty())


async def test_the_request_id_goes_along() -> None:
    async with serve(create_app()) as url, aiohttp.ClientSession() as http:
        token = logs.request_id.set("abc-1")
        told = await ServiceClient(http, url, name="notes").call(ID, Empty())
        logs.request_id.reset(token)

    assert told.request_id == "abc-1"
