"""A real nginx with the real configuration, in front of services that tell what reached them."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientSession, web

from sage_cli import binaries, front_door
from sage_cli.front_door import FrontDoor
from tests.fakes.cluster import accepts, free_port, stopped

NAMES = tuple(front_door.SERVICES)


@dataclass
class Echo:
    """Answers every request with what it was; `answer`, if set, is given instead."""

    name: str
    seen: list[str] = field(default_factory=list)
    answer: web.Response | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(f"{request.method} {request.raw_path}")
        if self.answer is not None:
            return self.answer
        headers = {name.lower(): value for name, value in request.headers.items()}
        told = {"service": self.name, "path": request.raw_path, "headers": headers, "length": len(body)}
        return web.json_response(told, headers={"X-Accel-Redirect": "/health", "X-Accel-Limit-Rate": "1"})


@asynccontextmanager
async def listening(handler: web.Application | Echo, port: int = 0) -> AsyncGenerator[int]:
    app = handler
    if isinstance(handler, Echo):
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", handler.handle)
    assert isinstance(app, web.Application)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = port or free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield port
    finally:
        await stopped(runner)


@asynccontextmanager
async def nginx(
    binary: Path, upstreams: Mapping[str, list[str]], *, own_names_only: bool = False
) -> AsyncGenerator[int]:
    """`binary` with the local stack's configuration; yields the port of the front door."""
    with tempfile.TemporaryDirectory(prefix="sage-nginx-") as folder:
        port = free_port()
        door = FrontDoor(
            listen=f"127.0.0.1:{port}",
            upstreams=upstreams,
            workers=1,
            connections=256,
            open_files=1024,
            stop_seconds=1,
            as_root=True,
            own_names_only=own_names_only,
        )
        config = Path(folder) / "nginx.conf"
        config.write_text(front_door.local(door, front_door.TEMPLATE.read_text()))
        log = Path(folder) / "stdout.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                binary, "-p", folder, "-c", str(config), "-e", "stderr", stdout=output
            )
            try:
                await accepts(port)
                yield port
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()


@asynccontextmanager
async def before(addresses: list[str]) -> AsyncGenerator[ClientSession]:
    """A client of the front door, whose every service is at `addresses`."""
    upstreams = dict.fromkeys(NAMES, addresses)
    async with nginx(binaries.nginx(), upstreams) as port, ClientSession(f"http://127.0.0.1:{port}") as http:
        yield http
