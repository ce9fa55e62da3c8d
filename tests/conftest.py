"""What every test may ask for; no application imports here."""

from collections.abc import Iterator

import pytest

from tests.fakes.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One Redis for the whole run; a test that hangs or kills it uses `redis_server()` of its own."""
    with redis_server() as server:
        yield server
