"""What every test may ask for; no application imports here."""

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.redis_server import RedisServer, redis_server

# A machine that others make wait is no fault of a strategy.
settings.register_profile("sage", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sage")

# A run in a shell's background is started with SIGINT ignored, and so would be the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
SLOW = ("system", "compose")


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.relative_to(TESTS).parts[0] in SLOW:
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of collected tests are no garbage: the collector need not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One Redis for the whole run; a test that hangs or kills it uses `redis_server()` of its own."""
    with redis_server() as server:
        yield server
