"""Engines that are as strange as a test wants, in this loop or as a process (`python -m tests.control_plane.engines`)."""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.fakes.cluster import free_port, stopped


class ScriptedEngine:
    """What each route answers: a status and a body. `health = None` never answers; a route set to 404 is not there."""

    def __init__(self, *models: str) -> None:
        self.health: int | None = 200
        self.models_status = 200
        self.models: Any = {"object": "list", "data": [{"id": model} for model in models or ("tiny",)]}
        self.props: Any = None
        self.metrics: bytes | None = None
        self.ps: Any = None
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.port = self.port or free_port()
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    @property
    def connections(self) -> int:
        """Open now."""
        server = self._runner.server if self._runner else None
        return len(server.connections) if server else 0

    async def stop(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await stopped(runner)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        match request.path:
            case "/health":
                if self.health is None:
                    await asyncio.Event().wait()
                return web.Response(status=self.health or 500, headers=self.headers)
            case "/v1/models":
                return _json(self.models_status, self.models)
            case "/props":
                return _json(404 if self.props is None else 200, self.props)
            case "/metrics" if self.metrics is not None:
                return web.Response(body=self.metrics, content_type="text/plain")
            case "/api/ps" if self.ps is not None:
                return _json(200, self.ps)
            case _:
                return web.Response(status=404)


@asynccontextmanager
async def scripted_engine(*models: str) -> AsyncGenerator[ScriptedEngine]:
    engine = ScriptedEngine(*models)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def _json(status: int, body: Any) -> web.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.Response(status=status, body=raw, content_type="application/json")


class _Handler(BaseHTTPRequestHandler):
    model = "tiny"

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": self.model, "max_model_len": 512}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deaf", action="store_true", help="ignore TERM")
    parser.add_argument("--fails", default="", help="print this and exit with status 3")
    parser.add_argument("--child", default="", help="start a sleeping child and write its pid to this file")
    args = parser.parse_args()
    if args.fails:
        sys.exit(f"first line\n{args.fails}")
    if args.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if args.child:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(args.child).write_text(str(child.pid))
    print("listening at", time.time(), flush=True)
    ThreadingHTTPServer(("127.0.0.1", args.port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
