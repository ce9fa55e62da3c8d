"""Services on real sockets, in this loop, on free ports."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar

from sage_chassis.serve import BACKLOG, BACKPRESSURE


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
