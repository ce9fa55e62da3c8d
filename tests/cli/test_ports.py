"""Ports that are free, and sentences about those that are not."""

import os
import socket

import pytest

from sage_cli import ports
from sage_cli.failures import Failed


def test_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    found = ports.chosen(["a", "b", "c"], kept={})

    assert len(set(found.values())) == 3
    assert all(20_000 <= port < 32_000 for port in found.values())


def test_a_port_is_kept_while_it_is_free_and_given_up_when_it_is_not() -> None:
    before = ports.chosen(["a", "b"], kept={})
    with socket.create_server(("127.0.0.1", before["b"])):
        after = ports.chosen(["b", "a"], kept=before)

    assert after["a"] == before["a"]
    assert after["b"] != before["b"]


def test_a_port_in_use_is_told_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Failed) as told:
        ports.require_free("127.0.0.1", taken.getsockname()[1])

    assert f"(pid {os.getpid()})" in told.value.message


def test_an_address_that_is_not_this_machines_is_told_in_a_sentence() -> None:
    with pytest.raises(Failed, match="nothing can listen on"):
        ports.require_free("192.0.2.1", 8000)


def test_a_name_that_cannot_be_looked_up_is_told_in_a_sentence() -> None:
    with pytest.raises(Failed, match="SAGE_GATEWAY_HOST"):
        ports.require_free("a" * 70, 8000)
