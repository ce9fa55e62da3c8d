"""What the fakes promise of ports."""

from tests.fakes import cluster


def test_a_port_that_was_given_is_given_to_nobody_else_though_nothing_listens_on_it_yet() -> None:
    port = cluster.free_port()

    assert cluster._taken(port) is False
