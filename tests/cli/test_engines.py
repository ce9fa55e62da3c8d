"""Which engine the local stack answers with."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sage_cli import demo_engine, engines
from sage_cli.failures import Failed
from sage_cli.settings import Settings
from tests.fakes.cluster import free_port
from tests.fakes.front_door import listening

NOT_OURS = 1


@asynccontextmanager
async def answering(answer: object, *, status: int = 200, after: float = 0) -> AsyncGenerator[int]:
    async def models(_: web.Request) -> web.Response:
        await asyncio.sleep(after)
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_get("/v1/models", models)
    async with listening(app) as port:
        yield port


async def test_an_engine_that_runs_here_is_found_with_its_models() -> None:
    async with answering({"object": "list", "data": [{"id": "llama"}, {"id": "qwen"}]}) as port:
        found = await engines.running({"Ollama": port}, own_port=NOT_OURS, seconds=30)

    assert list(found) == [engines.Found("Ollama", f"http://127.0.0.1:{port}", ("llama", "qwen"))]


@pytest.mark.parametrize(
    "answer",
    [{"data": []}, {"data": None}, {"data": [{"name": "x"}]}, {"data": [{"id": 5}]}, [], "models", None, {}],
)
async def test_what_lists_no_model_is_no_engine(answer: object) -> None:
    async with answering(answer) as port:
        assert not await engines.running({"x": port}, own_port=NOT_OURS)


async def test_a_gateway_like_this_one_is_no_engine() -> None:
    async with answering({"data": [{"id": "llama"}, {"id": "sage-default"}]}) as port:
        assert not await engines.running({"x": port}, own_port=NOT_OURS)


@pytest.mark.slow
async def test_what_is_slow_fails_or_is_absent_is_passed_over_within_a_second() -> None:
    models = {"data": [{"id": "m"}]}
    async with answering(models, after=20) as slow, answering(models, status=500) as broken, asyncio.timeout(10):
        found = await engines.running({"a": slow, "b": broken, "c": free_port()}, own_port=NOT_OURS)

    assert not found
    assert engines.LOOK_SECONDS < 1


async def test_the_front_doors_own_port_is_not_asked() -> None:
    async with answering({"data": [{"id": "m"}]}) as port:
        assert not await engines.running({"llama.cpp": port}, own_port=port)


async def test_a_configured_server_is_taken_and_its_secrets_are_not_shown() -> None:
    choice = await engines.choose(Settings(upstream_url="https://user:secret@api.example.com/v1?key=secret"))

    assert (choice.demo, choice.static) == (False, ())
    assert "https://api.example.com/v1" in choice.told
    assert "secret" not in choice.told


async def test_configured_engines_keep_the_demo_engine_away() -> None:
    choice = await engines.choose(Settings(engines="http://127.0.0.1:9"))

    assert (choice.demo, choice.static, "http://127.0.0.1:9" in choice.told) == (False, (), True)


@pytest.mark.parametrize(
    ("settings", "none"), [(Settings(discover=False, demo_engine=False), False), (Settings(), True)]
)
async def test_without_an_engine_it_says_how_to_register_one(settings: Settings, *, none: bool) -> None:
    choice = await engines.choose(settings, none=none)

    assert (choice.demo, choice.static) == (False, ())
    assert "sage llm engine register" in choice.told


async def test_with_no_other_the_small_one_is_started_and_called_what_it_is() -> None:
    choice = await engines.choose(Settings(discover=False))

    assert (choice.demo, choice.models) == (True, (demo_engine.MODEL, demo_engine.EMBEDDING_MODEL))
    assert "tiny demo model" in choice.told


def test_the_demo_engines_weights_are_found_without_importing_their_package() -> None:
    assert demo_engine.weights().suffix == ".gguf"
    assert demo_engine.complaint() is None


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("example.com", False),
    ],
)
def test_only_loopback_is_loopback(host: str, *, is_loopback: bool) -> None:
    assert engines.is_loopback(host) is is_loopback


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@models.example:8443/v1", "https://models.example:8443/v1"),
        ("http://[::1]:8080/v1?key=secret", "http://[::1]:8080/v1"),
        ("http://models.example", "http://models.example"),
    ],
)
def test_an_upstream_is_shown_without_what_may_be_a_secret(url: str, shown: str) -> None:
    assert engines.shown(url) == shown


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:port"])
def test_an_upstream_that_is_no_address_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(Failed, match="SAGE_CHAT_BASE_URL"):
        engines.shown(url)
