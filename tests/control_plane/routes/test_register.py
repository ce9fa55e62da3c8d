import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.control_plane.domain.test_addressing import NOT_IN_ITS_USUAL_FORM, REFUSED_ALWAYS
from tests.control_plane.engines import ScriptedEngine, scripted_engine
from tests.control_plane.stack import ControlPlane, control_plane
from tests.fakes.cluster import free_port
from tests.fakes.redis_server import RedisServer

REGISTER = "/v1/management/engines/register"


async def test_a_registered_engine_is_ready_at_once_with_the_model_it_names(plane: ControlPlane) -> None:
    async with scripted_engine("Qwen/Qwen3-4B") as engine:
        engine.models["data"][0]["max_model_len"] = 32_768
        status, told = await plane.ask("POST", REGISTER, json={"host": "127.0.0.1", "port": engine.port})

    assert status == 200
    assert told["engine_id"] == f"qwen3-4b-127.0.0.1-{engine.port}"
    assert (told["model_id"], told["state"], told["status"]) == ("Qwen/Qwen3-4B", "READY", "READY")
    assert told["metadata"] == {"source": "registered", "context_tokens": 32_768}
    assert told["base_url"] == engine.url
    assert (told["consecutive_failures"], told["active_requests"], told["pid"], told["gpu_ids"]) == (0, 0, None, [])
    assert told["last_heartbeat"].endswith("Z")


async def test_a_registered_engine_is_in_the_next_snapshot(plane: ControlPlane) -> None:
    async with scripted_engine("m") as engine:
        before = await plane.fleet()
        await plane.register(engine, engine_id="e1", max_concurrent_requests=3)
        after = await plane.fleet()

    assert (before.version, before.engines) == (0, [])
    assert after.version > 0
    [one] = after.engines
    assert (one.engine_id, one.model_id, one.base_url, one.state) == ("e1", "m", engine.url, "READY")
    assert one.max_concurrent_requests == 3


async def test_the_same_registration_again_changes_nothing(plane: ControlPlane) -> None:
    async with scripted_engine("m") as engine:
        first = await plane.register(engine)
        version = (await plane.fleet()).version
        second = await plane.register(engine)
        again = (await plane.fleet()).version

    assert first.engine_id == second.engine_id
    assert first.created_at == second.created_at
    assert version == again


async def test_a_registration_that_says_more_changes_the_engine(plane: ControlPlane) -> None:
    async with scripted_engine("m") as engine:
        first = await plane.register(engine)
        second = await plane.register(engine, engine_kind="embedding", metadata={"rack": 7}, max_concurrent_requests=9)

    assert second.engine_id == first.engine_id
    assert (second.engine_kind, second.metadata["rack"]) == ("embedding", 7)
    assert len(await plane.engines()) == 1


async def test_a_taken_id_at_another_address_is_a_409(plane: ControlPlane) -> None:
    async with scripted_engine() as first, scripted_engine() as second:
        await plane.register(first, engine_id="mine")
        status, told = await plane.ask(
            "POST", REGISTER, json={"host": "127.0.0.1", "port": second.port, "engine_id": "mine"}
        )

        assert status == 409
        assert (told["error"]["code"], told["error"]["param"]) == ("engine_id_taken", "engine_id")
        assert first.url in told["error"]["message"]
        assert (await plane.engine("mine")).port == first.port
        assert second.asked == []


async def test_two_models_of_one_engine_are_two_entries(plane: ControlPlane) -> None:
    async with scripted_engine("a", "b") as engine:
        await plane.register(engine, model_id="a")
        await plane.register(engine, model_id="b")

    assert sorted(one.model_id for one in await plane.engines()) == ["a", "b"]


async def test_the_window_is_that_of_the_model_asked_for(plane: ControlPlane) -> None:
    async with scripted_engine("a", "b") as engine:
        engine.models["data"][1]["meta"] = {"n_ctx_train": 2048}
        told = await plane.register(engine, model_id="b")

    assert told.metadata["context_tokens"] == 2048


async def test_an_engine_that_runs_llama_cpp_tells_the_window_it_runs_with(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        engine.models["data"][0]["meta"] = {"n_ctx_train": 8192}
        engine.props = {"default_generation_settings": {"n_ctx": 4096}}
        told = await plane.register(engine)

    assert told.metadata["context_tokens"] == 4096


async def test_an_engine_without_a_health_route_is_known_by_its_models(plane: ControlPlane) -> None:
    async with scripted_engine("m") as engine:
        engine.health = 404

        assert (await plane.register(engine)).state == "READY"


async def test_an_engine_that_is_away_is_refused(plane: ControlPlane) -> None:
    port = free_port()
    status, told = await plane.ask("POST", REGISTER, json={"host": "127.0.0.1", "port": port})

    assert (status, told["error"]["code"], told["error"]["param"]) == (400, "engine_unreachable", "host")
    assert f"http://127.0.0.1:{port}" in told["error"]["message"]
    assert await plane.engines() == []


async def test_an_engine_that_is_away_is_starting_when_its_model_is_told(plane: ControlPlane) -> None:
    engine = ScriptedEngine("m")
    engine.port = free_port()
    engine.models["data"][0]["max_model_len"] = 777
    told = await plane.register(engine, engine_id="late", model_id="m")
    await engine.start()
    ready = await plane.until("late", "READY")
    await engine.stop()

    assert (told.state, told.last_heartbeat) == ("STARTING", None)
    assert ready.last_heartbeat is not None
    assert ready.metadata["context_tokens"] == 777


async def test_a_host_that_cannot_be_resolved_is_away(plane: ControlPlane) -> None:
    status, told = await plane.ask("POST", REGISTER, json={"host": "nowhere.invalid", "port": 80})

    assert (status, told["error"]["code"]) == (400, "engine_unreachable")


async def test_an_engine_that_names_no_model_must_be_told_one(plane: ControlPlane) -> None:
    async with scripted_engine() as engine:
        engine.models = {"object": "list", "data": []}
        status, told = await plane.ask("POST", REGISTER, json={"host": "127.0.0.1", "port": engine.port})
        named = await plane.register(engine, model_id="m")

    assert (status, told["error"]["code"], told["error"]["param"]) == (400, "invalid_request", "model_id")
    assert (named.model_id, named.state) == ("m", "READY")


async def test_a_gateway_is_no_engine(plane: ControlPlane) -> None:
    async with scripted_engine("m", "sage-default") as gateway:
        status, told = await plane.ask("POST", REGISTER, json={"host": "127.0.0.1", "port": gateway.port})

    assert status == 400
    assert "SAGE gateway" in told["error"]["message"]


@pytest.mark.slow
async def test_an_engine_that_never_answers_is_refused_in_time(shared_redis: RedisServer, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with (
            control_plane(shared_redis.url, tmp_path, probe_timeout_seconds=0.5) as plane,
            asyncio.timeout(10),
        ):
            status, told = await plane.ask(
                "POST", REGISTER, json={"host": "127.0.0.1", "port": silent.getsockname()[1]}
            )

    assert (status, told["error"]["code"]) == (400, "engine_unreachable")


async def test_no_redirect_is_followed(plane: ControlPlane) -> None:
    async with scripted_engine() as engine, scripted_engine() as elsewhere:
        engine.health, engine.models_status = 302, 302
        engine.headers = {"Location": f"{elsewhere.url}/health"}
        status, told = await plane.ask("POST", REGISTER, json={"host": "127.0.0.1", "port": engine.port})

        assert (status, told["error"]["code"]) == (400, "engine_unreachable")
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    "models",
    [
        b"not json",
        b"[]",
        b'{"data": {}}',
        b'{"data": [null, 1, "x", {}, {"id": 3}, {"id": ""}, {"id": "a\\nb"}]}',
        b'{"data": [{"id": "' + b"x" * 300 + b'"}]}',
        b"[" * 100_000,
        b'{"data": [{"id": "m", "pad": "' + b" " * 2_000_000 + b'"}]}',
    ],
)
async def test_a_list_of_models_that_makes_no_sense_names_no_model(plane: ControlPlane, models: bytes) -> None:
    async with scripted_engine() as engine:
        engine.models = models
        status, told = await plane.ask("POST", REGISTER, json={"host": "127.0.0.1", "port": engine.port})

    assert (status, told["error"]["param"]) == (400, "model_id")


@pytest.mark.parametrize("window", [True, -1, 0, "4096", 2**40, None, 1.5])
async def test_a_window_that_makes_no_sense_is_not_told(plane: ControlPlane, window: Any) -> None:
    async with scripted_engine("m") as engine:
        engine.models["data"][0]["max_model_len"] = window

        assert "context_tokens" not in (await plane.register(engine)).metadata


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"port": 0}, "port"),
        ({"port": 65_536}, "port"),
        ({"engine_id": ""}, "engine_id"),
        ({"engine_id": ".."}, "engine_id"),
        ({"engine_id": "a/b"}, "engine_id"),
        ({"engine_id": "x" * 129}, "engine_id"),
        ({"engine_id": "a b"}, "engine_id"),
        ({"model_id": ""}, "model_id"),
        ({"model_id": "a\nb"}, "model_id"),
        ({"model_id": "x" * 257}, "model_id"),
        ({"engine_kind": "tts"}, "engine_kind"),
        ({"max_concurrent_requests": 0}, "max_concurrent_requests"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": "y" * 20_000}}, "metadata"),
        ({"host": 5}, "host"),
        ({"host": None}, "host"),
        ({"host": "x" * 300}, "host"),
    ],
)
async def test_a_registration_that_cannot_be_is_a_400(plane: ControlPlane, fields: dict[str, Any], param: str) -> None:
    async with scripted_engine("m") as engine:
        body = {"host": "127.0.0.1", "port": engine.port, **fields}
        status, told = await plane.ask("POST", REGISTER, json=body)

        assert status == 400, told
        assert param in f"{told['error']['param']} {told['error']['message']}"
        assert engine.asked == []
        assert await plane.engines() == []


HOSTILE = [*REFUSED_ALWAYS, *NOT_IN_ITS_USUAL_FORM, *(f"[{text}]" for text in REFUSED_ALWAYS)]


def test_there_are_a_hundred_hostile_addresses() -> None:
    assert len(set(HOSTILE)) >= 100


@pytest.mark.parametrize("host", HOSTILE)
@pytest.mark.slow
async def test_a_hostile_address_is_refused_and_not_connected_to(plane: ControlPlane, host: str) -> None:
    with connections() as connected:
        status, told = await plane.ask("POST", REGISTER, json={"host": host, "port": 9, "model_id": "m"})

    assert status == 400
    assert told["error"]["code"] == ("address_refused" if 0 < len(host) <= 253 else "invalid_request")
    assert [address for address in connected if address[1] == 9] == []
    assert await plane.engines() == []


async def test_a_connection_would_be_seen(plane: ControlPlane) -> None:
    with connections() as connected:
        await plane.ask("POST", REGISTER, json={"host": "127.0.0.1", "port": 9, "model_id": "m"})

    assert ("127.0.0.1", 9) in connected


async def test_loopback_is_refused_where_it_is_not_allowed(
    redis: Redis, shared_redis: RedisServer, tmp_path: Path
) -> None:
    async with (
        control_plane(shared_redis.url, tmp_path, allow_loopback=False) as plane,
        scripted_engine() as engine,
    ):
        for host in ("127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1"):
            body = {"host": host, "port": engine.port, "model_id": "m"}
            status, told = await plane.ask("POST", REGISTER, json=body)

            assert (status, told["error"]["code"]) == (400, "address_refused")
        assert engine.asked == []


@contextmanager
def connections() -> Iterator[list[Any]]:
    """Every address this process connects to meanwhile, as the interpreter itself reports."""
    seen: list[Any] = []
    _WATCHERS.append(seen)
    try:
        yield seen
    finally:
        _WATCHERS.remove(seen)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for seen in _WATCHERS:
            seen.append(args[1])


_WATCHERS: list[list[Any]] = []
sys.addaudithook(_audit)
