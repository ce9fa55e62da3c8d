"""Services on real sockets, in this loop, on free ports."""

import asyncio
import fcntl
import itertools
import os
import random
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar

from sage_chassis import ports
from sage_chassis.serve import BACKLOG, BACKPRESSURE

FIRST_PORT, LAST_PORT, BLOCK = 10_000, 20_000, 500


def _own_ports() -> Iterator[int]:
    """
    Ports in turn, from a block that no other process on this machine gives from: one that was given and is not listened
    on yet is given to nobody else. They are below those of outgoing connections, and none that the product chooses.
    """
    first = _own_block()
    begun = random.randrange(BLOCK)
    yield from itertools.cycle([first + (begun + step) % BLOCK for step in range(BLOCK)])


def _own_block() -> int:
    """Its first port. It is ours until this process ends, unless all are taken: then it is shared."""
    blocks = random.sample(range(FIRST_PORT, LAST_PORT, BLOCK), k=(LAST_PORT - FIRST_PORT) // BLOCK)
    for first in blocks:
        path = Path(tempfile.gettempdir()) / f"sage-test-ports-{first}"
        with suppress(OSError):
            taken = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            try:
                fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(taken)
            else:
                return first
    return blocks[0]


_ports = _own_ports()


def free_port() -> int:
    return next(port for port in _ports if _is_free(port))


def _is_free(port: int) -> bool:
    try:
        ports.listening("127.0.0.1", port).close()
    except OSError:
        return False
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


async def stopped(runner: web.AppRunner) -> None:
    """Stop what it serves; a connection that was accepted at the last moment is cut as well, and left to no collector."""
    server = runner.server
    await runner.cleanup()
    for _ in range(5):  # until it is made
        await asyncio.sleep(0)
    if server is not None:
        await server.shutdown(0)
        await asyncio.sleep(0)


async def accepts(port: int, *, seconds: float = 60.0) -> None:
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
