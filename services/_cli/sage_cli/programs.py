"""What the local stack is made of, as values: each program's command, its environment, how it is stopped."""

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sage_cli import front_door
from sage_cli.engines import Choice, is_loopback
from sage_cli.front_door import FrontDoor
from sage_cli.home import Home, Kept
from sage_cli.settings import Settings

SERVICES = ("session-store", "rag-indexer", "control-plane")
"""Beside chat-gateway, of which there may be several."""

MARK = "IN_SAGE_HOME"
"""An environment variable of every process of a stack, also of engines that the control-plane starts for it."""

DEMO_RAG_TOKENS = 600
"""Of passages in a prompt: without a GPU the demo engine takes ten seconds and more to read twice as many."""

CONNECTIONS = 8192
MAX_WORKERS = 4

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Program:
    """`order` is when it starts; it stops in the reverse order. `stop_seconds` is how long it may take to end."""

    name: str
    command: tuple[str, ...]
    order: int
    stop_seconds: int
    stop_signal: str = "TERM"
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binaries:
    nginx: Path
    valkey: Path


def gateways(settings: Settings) -> list[str]:
    if settings.workers == 1:
        return ["chat-gateway"]
    return [f"chat-gateway-{number}" for number in range(1, settings.workers + 1)]


def port_names(settings: Settings, choice: Choice) -> list[str]:
    """Everything that listens on a port of its own, beside the front door."""
    demo = ["engine", "engine-embeddings"] if choice.demo else []
    return ["valkey", *gateways(settings), *SERVICES, *demo]


def programs(home: Home, kept: Kept, settings: Settings, choice: Choice, binaries: Binaries) -> list[Program]:
    streams = round(settings.stop_seconds)
    python = (sys.executable, "-m")
    found = [
        Program("valkey", (str(binaries.valkey), str(home.config / "valkey.conf")), order=10, stop_seconds=10),
        *(Program(name, (*python, _module(name)), order=30, stop_seconds=streams + 5) for name in SERVICES),
        *(
            Program(
                name,
                (*python, "chat_gateway"),
                order=40,
                stop_seconds=streams + 5,
                env={"SAGE_CHAT_GATEWAY_PORT": str(kept.ports[name])},
            )
            for name in gateways(settings)
        ),
    ]
    if choice.demo:
        ports = ("--port", str(kept.ports["engine"]), "--embeddings-port", str(kept.ports["engine-embeddings"]))
        found.append(Program("engine", (*python, "sage_cli.demo_engine", *ports), order=20, stop_seconds=5))
    nginx = (str(binaries.nginx), "-p", str(home.nginx), "-c", str(home.config / "nginx.conf"), "-e", "stderr")
    replaced = (*python, "sage_cli.successor", str(home.nginx / "nginx.pid"), *nginx)
    # QUIT lets streams end; the services behind stop only when nginx has.
    found.append(Program("nginx", replaced, order=50, stop_seconds=streams + 2, stop_signal="QUIT"))
    return found


def environment(home: Home, kept: Kept, settings: Settings, choice: Choice) -> dict[str, str]:
    """What every program of the stack finds in its environment, beside what the user has set."""
    addresses = {name: f"127.0.0.1:{kept.ports[name]}" for name in SERVICES}
    addresses["chat-gateway"] = f"127.0.0.1:{kept.ports[gateways(settings)[0]]}"
    env: dict[str, str] = {MARK: str(home.root)}
    for name, address in addresses.items():
        prefix = f"SAGE_{name.upper().replace('-', '_')}"
        host, _, port = address.partition(":")
        env |= {f"{prefix}_HOST": host, f"{prefix}_PORT": port, f"{prefix}_URL": f"http://{address}"}
    env |= {
        "SAGE_HOME": str(home.root),
        "SAGE_REDIS_URL": f"redis://:{kept.password}@127.0.0.1:{kept.ports['valkey']}/0",
        "SAGE_STOP_SECONDS": str(settings.stop_seconds),
        "PYTHONUNBUFFERED": "1",
    }
    if settings.log_level:
        env["SAGE_LOG_LEVEL"] = settings.log_level
    static = _static(kept, choice)
    return env | ({"SAGE_CONTROL_PLANE_STATIC_ENGINES": ",".join(static)} if static else {})


def defaults(home: Home, *, is_local: bool, demo: bool) -> dict[str, str]:
    """What a user may set otherwise. On loopback alone, folders of the user's home may be indexed by request."""
    budget = {"SAGE_CHAT_GATEWAY_RAG_BUDGET_TOKENS": str(DEMO_RAG_TOKENS)} if demo else {}
    docs = REPOSITORY / "docs"
    source = {"SAGE_RAG_INDEXER_SOURCE_DIR": str(docs)} if docs.is_dir() else {}
    roots = [str(path) for path in (docs, Path.home()) if path.is_dir() and "," not in str(path)]
    return {
        "SAGE_RAG_INDEXER_DATA_DIR": str(home.root / "rag-indexer"),
        "SAGE_CONTROL_PLANE_DATA_DIR": str(home.root / "control-plane"),
        "SAGE_CONTROL_PLANE_STOP_ENGINES_ON_EXIT": "true",
        **({"SAGE_RAG_INDEXER_ALLOWED_ROOTS": ",".join(roots)} if is_local else {}),
        **source,
        **budget,
    }


def nginx_conf(kept: Kept, settings: Settings) -> str:
    host = f"[{kept.host}]" if ":" in kept.host else kept.host
    upstreams = {
        "CHAT_GATEWAY": [f"127.0.0.1:{kept.ports[name]}" for name in gateways(settings)],
        **{name.upper().replace("-", "_"): [f"127.0.0.1:{kept.ports[name]}"] for name in SERVICES},
    }
    files = open_files()
    door = FrontDoor(
        listen=f"{host}:{kept.port}",
        upstreams=upstreams,
        workers=min(os.cpu_count() or 1, MAX_WORKERS),
        connections=min(CONNECTIONS, files // 2),
        open_files=files,
        stop_seconds=max(1, round(settings.stop_seconds)),
        as_root=os.geteuid() == 0,
        own_names_only=is_loopback(kept.host),
    )
    return front_door.local(door, front_door.TEMPLATE.read_text())


def valkey_conf(home: Home, kept: Kept, settings: Settings) -> str:
    """Sessions outlive a restart (AOF) and are never evicted to make room."""
    lines = [
        "bind 127.0.0.1",
        f"port {kept.ports['valkey']}",
        f"requirepass {kept.password}",
        f'dir "{home.valkey}"',
        "appendonly yes",
        f"appendfsync {settings.redis_fsync}",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    return "\n".join(lines) + "\n"


def open_files() -> int:
    """As many as this user may open, within reason."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)


def _static(kept: Kept, choice: Choice) -> Sequence[str]:
    if choice.demo:
        return [f"http://127.0.0.1:{kept.ports[name]}" for name in ("engine", "engine-embeddings")]
    return choice.static


def _module(service: str) -> str:
    return service.replace("-", "_")
