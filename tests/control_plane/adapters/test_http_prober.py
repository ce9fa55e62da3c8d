import pytest

from control_plane.adapters import http_prober
from control_plane.adapters.checked_addresses import CheckedAddresses, CheckedResolver
from control_plane.adapters.http_prober import QUIET_ROUNDS, HTTPProber
from control_plane.domain.addressing import Policy
from control_plane.domain.ports import Model
from sage_contracts.errors import AddressRefused
from tests.control_plane.engines import scripted_engine


@pytest.mark.parametrize(
    ("health", "models", "answers", "asked"),
    [
        (200, 200, True, ["/health"]),
        (204, 500, True, ["/health"]),
        (404, 200, True, ["/health", "/v1/models"]),
        (405, 200, True, ["/health", "/v1/models"]),
        (501, 200, True, ["/health", "/v1/models"]),
        (404, 404, False, ["/health", "/v1/models"]),
        (404, 503, False, ["/health", "/v1/models"]),
        (503, 200, False, ["/health"]),
        (500, 200, False, ["/health"]),
        (401, 200, False, ["/health"]),
        (302, 200, False, ["/health"]),
    ],
)
async def test_health_decides_and_models_stand_in_for_it(
    health: int, models: int, answers: bool, asked: list[str]
) -> None:
    addresses = CheckedAddresses(Policy())
    async with http_prober.connections(addresses) as http, scripted_engine("m") as engine:
        prober = HTTPProber(http, addresses, timeout_seconds=1)
        engine.health, engine.models_status = health, models

        assert await prober.answers("127.0.0.1", engine.port) is answers
        assert engine.asked == asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1"])
async def test_a_refused_address_is_not_connected_to_even_once_registered(host: str) -> None:
    """A name may point elsewhere today: what is checked is where the connection goes."""
    addresses = CheckedAddresses(Policy(allow_loopback=False))
    async with http_prober.connections(addresses) as http, scripted_engine("m") as engine:
        prober = HTTPProber(http, addresses, timeout_seconds=1)

        assert await prober.answers(host, engine.port) is False
        assert await prober.models(host, engine.port) == []
        assert engine.asked == []
        assert engine.connections == 0


async def test_a_name_is_connected_to_when_all_its_addresses_are_allowed() -> None:
    addresses = CheckedAddresses(Policy())
    async with http_prober.connections(addresses) as http, scripted_engine("m", "n") as engine:
        prober = HTTPProber(http, addresses, timeout_seconds=1)

        assert await prober.answers("localhost", engine.port) is True
        assert await prober.models("localhost", engine.port) == [Model("m"), Model("n")]


async def test_an_address_spelled_as_a_number_is_checked_as_what_it_is() -> None:
    addresses = CheckedAddresses(Policy(allow_loopback=False))

    with pytest.raises(AddressRefused):
        await addresses.check("2130706433")
    with pytest.raises(OSError, match="local mode"):
        await CheckedResolver(addresses).resolve("2130706433", 80)


async def test_the_resolver_answers_addresses_of_the_family_asked_for() -> None:
    resolver = CheckedResolver(CheckedAddresses(Policy()))
    found = await resolver.resolve("127.0.0.1", 80)
    await resolver.close()

    assert [(one["host"], one["port"]) for one in found] == [("127.0.0.1", 80)]


async def test_a_name_that_cannot_be_resolved_passes_and_is_not_connected_to() -> None:
    addresses = CheckedAddresses(Policy())
    await addresses.check("nowhere.invalid")
    async with http_prober.connections(addresses) as http:
        assert await HTTPProber(http, addresses, timeout_seconds=1).answers("nowhere.invalid", 80) is False


async def test_an_engine_that_was_restarted_answers_on_a_new_connection() -> None:
    addresses = CheckedAddresses(Policy())
    async with http_prober.connections(addresses) as http, scripted_engine("m") as engine:
        prober = HTTPProber(http, addresses, timeout_seconds=1)
        assert await prober.answers("127.0.0.1", engine.port)
        await engine.stop()
        assert not await prober.answers("127.0.0.1", engine.port)
        await engine.start()

        assert await prober.answers("127.0.0.1", engine.port)


async def test_the_load_is_read_where_an_engine_tells_it() -> None:
    addresses = CheckedAddresses(Policy())
    async with (
        http_prober.connections(addresses) as http,
        scripted_engine() as vllm,
        scripted_engine() as ollama,
        scripted_engine() as other,
    ):
        prober = HTTPProber(http, addresses, timeout_seconds=1)
        vllm.metrics = b"vllm:num_requests_running 2\n" + b"x" * 2_000_000
        ollama.ps = {"models": [{"name": "qwen3"}]}
        told = [await prober.load("127.0.0.1", engine.port) for engine in (vllm, ollama, other)]

        assert [load and (load.source, load.running) for load in told] == [("vllm", 2), ("ollama", 0), None]


async def test_an_engine_that_tells_no_load_is_seldom_asked_for_it() -> None:
    addresses = CheckedAddresses(Policy())
    async with http_prober.connections(addresses) as http, scripted_engine() as engine:
        prober = HTTPProber(http, addresses, timeout_seconds=1)
        for _ in range(QUIET_ROUNDS):
            await prober.load("127.0.0.1", engine.port)
        assert engine.asked == ["/metrics", "/api/ps"]
        engine.metrics = b"llamacpp:requests_processing 1\n"
        told = [await prober.load("127.0.0.1", engine.port) for _ in range(2)]

    assert [load is None for load in told] == [True, False]
