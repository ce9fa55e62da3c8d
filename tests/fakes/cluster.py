"""Services on real sockets, in this loop, on free ports."""

import asyncio
import itertools
import os
import random
import socket
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar

from sage_chassis.serve import BACKLOG, BACKPRESSURE


def _own_ports() -> Iterator[int]:
    """
    Ports in turn, from a range that no other worker of this run has: one that was given and is not listened on yet is
    given to nobody else. They are below those of outgoing connections, and none that the product chooses.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    first = 10_000 + 1_250 * worker
    begun = random.randrange(1_250)
    yield from itertools.cycle([first + (begun + step) % 1_250 for step in range(1_250)])


_ports = _own_ports()
_twins: deque[int] = deque()
"""Held UDP sockets of the ports given last, which nothing else uses: a run beside this one takes none of them."""
_TWINS = 64


def free_port() -> int:
    return next(port for port in _ports if _taken(port))


def _taken(port: int) -> bool:
    """Whether it was free; it is nobody else's then until many others were given."""
    twin = socket.socket(type=socket.SOCK_DGRAM)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            twin.bind(("127.0.0.1", port))
        except OSError:
            twin.close()
            return False
    _twins.append(twin.detach())
    if len(_twins) > _TWINS:
        os.close(_twins.popleft())
    return True


@asynccontextmanager
async def serve(app: Litestar, port: int | None = None) -> AsyncGenerator[str]:
    """`app` behind Granian; yields its base URL once it accepts connections."""
    port = port or free_port()
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        log_enabled=False,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
    )
    task = asyncio.create_task(server.serve())
    try:
        await accepts(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # Granian leaves it without types
        await task


async def accepts(port: int, *, seconds: float = 10.0) -> None:
    """Return once something listens on `port`; TimeoutError if nothing does in time."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.005)
            else:
                writer.close()
                return
