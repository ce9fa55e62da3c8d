"""Lists of engines as DNS and Docker tell them."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from control_plane.adapters.dns_roster import DNSRoster
from control_plane.adapters.docker_engine import DockerEngine
from control_plane.adapters.docker_roster import DockerRoster, addresses
from sage_contracts.errors import Unavailable
from tests.control_plane.engines import scripted_engine
from tests.control_plane.stack import control_plane, eventually
from tests.fakes.redis_server import RedisServer


async def test_each_address_of_a_name_is_listed_with_the_name() -> None:
    async def resolve(_: str) -> list[str]:
        return ["10.0.0.2", "10.0.0.1", "fd00::1"]

    assert await DNSRoster("vllm.svc", 80, resolve).listed() == dict.fromkeys(
        [("10.0.0.1", 80), ("10.0.0.2", 80), ("fd00::1", 80)], "dns vllm.svc:80"
    )


async def test_a_name_that_cannot_be_resolved_is_a_list_that_cannot_be_read() -> None:
    async def resolve(_: str) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(Unavailable, match=r"vllm\.svc cannot be resolved"):
        await DNSRoster("vllm.svc", 80, resolve).listed()


@pytest.mark.parametrize(
    ("label", "ports", "networks", "told"),
    [
        ("8000", {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}]}, {}, [("127.0.0.1", 9000)]),
        ("8000", {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9000"}]}, {}, [("127.0.0.1", 9000)]),
        ("8000", {"8000/tcp": None}, {"bridge": {"IPAddress": "172.17.0.2"}}, [("172.17.0.2", 8000)]),
        ("8000", None, {"a": {"IPAddress": ""}, "b": {"IPAddress": "172.18.0.2"}}, [("172.18.0.2", 8000)]),
        ("8000", {}, {}, []),
        ("8000", {}, None, []),
        ("0", {}, {"bridge": {"IPAddress": "172.17.0.2"}}, []),
        ("65536", {}, {"bridge": {"IPAddress": "172.17.0.2"}}, []),
        ("http", {}, {"bridge": {"IPAddress": "172.17.0.2"}}, []),
        ("\u0663", {}, {"bridge": {"IPAddress": "172.17.0.2"}}, []),
        ("9" * 5000, {}, {"bridge": {"IPAddress": "172.17.0.2"}}, []),
    ],
)
def test_a_container_is_reached_where_it_is_published_else_at_its_own_address(
    label: str, ports: Any, networks: Any, told: list[tuple[str, int]]
) -> None:
    attributes = {
        "Config": {"Labels": {"sage.port": label}},
        "NetworkSettings": {"Ports": ports, "Networks": networks},
    }

    assert list(addresses(attributes)) == told


async def test_containers_of_a_docker_engine_that_is_away_are_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no Docker engine answers"):
        await DockerRoster(DockerEngine(f"unix://{tmp_path}/none.sock")).listed()


async def test_engines_behind_a_dns_name_are_found(redis: Redis, shared_redis: RedisServer, tmp_path: Path) -> None:
    async with (
        scripted_engine("a") as engine,
        control_plane(shared_redis.url, tmp_path, dns_engines=(f"localhost:{engine.port}",)) as plane,
    ):

        async def found() -> dict[str, Any] | None:
            told = [one for one in await plane.engines() if one.host == "127.0.0.1"]
            return told[0].metadata if told else None

        metadata = await eventually(found)

    assert (metadata["source"], metadata["origin"]) == ("dns", f"dns localhost:{engine.port}")
