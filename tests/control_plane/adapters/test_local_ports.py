import socket

import pytest

from control_plane.adapters.local_ports import LocalPorts
from sage_chassis import ports
from sage_contracts.errors import Conflict
from tests.fakes.cluster import free_port

HOST = "127.0.0.1"


@pytest.fixture
def five(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Five free ports, and no others to try."""
    found = [free_port() for _ in range(5)]
    monkeypatch.setattr(ports, "candidates", lambda: iter(found))
    return found


def test_a_port_that_is_listened_on_is_not_free(five: list[int]) -> None:
    with socket.create_server((HOST, five[0])):
        assert not LocalPorts().is_free(HOST, five[0])

    assert LocalPorts().is_free(HOST, five[0])


def test_any_free_port_is_neither_in_use_nor_spoken_for(five: list[int]) -> None:
    with socket.create_server((HOST, five[2])):
        assert LocalPorts().any_free(HOST, but=five[:2]) == five[3]


def test_where_every_port_is_spoken_for_the_request_is_told_so(five: list[int]) -> None:
    with pytest.raises(Conflict, match="no free port"):
        LocalPorts().any_free(HOST, but=five)
