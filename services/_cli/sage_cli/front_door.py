"""
nginx's configuration, made from deploy/nginx/sage.conf.template for the place where nginx will run.

`python services/_cli/sage_cli/front_door.py` prints the one for docker-compose.yml; it needs nothing but the standard
library.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[3] / "deploy" / "nginx" / "sage.conf.template"

KEEPALIVE = 64
KEEPALIVE_SECONDS = 20
"""Less than the 30 s after which Granian closes an idle connection: a POST must not be sent into one being closed."""

ACCESS_LOG = "/dev/stdout sage buffer=4k flush=1s"
"""Several lines a write, because each costs the reader; no more than a pipe takes whole, because workers share it."""

_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")

SERVICES = {"CHAT_GATEWAY": 8011, "SESSION_STORE": 8012, "RAG_INDEXER": 8013, "CONTROL_PLANE": 8014}


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """
    `upstreams` holds every address of each service, as `host:port`; chat-gateway may have several.

    `own_names_only` refuses requests for any name but loopback's.
    """

    listen: str
    upstreams: Mapping[str, Sequence[str]]
    workers: int
    connections: int
    open_files: int
    stop_seconds: int
    as_root: bool
    own_names_only: bool


def local(door: FrontDoor, template: str) -> str:
    """The local stack's: its state is below the prefix, and addresses never change while it runs."""
    values = {
        # As root the workers would become `nobody`, who may not enter a home.
        "PROCESS": "daemon off;" + ("\nuser root;" if door.as_root else ""),
        "WORKER_PROCESSES": str(door.workers),
        "WORKER_CONNECTIONS": str(door.connections),
        "OPEN_FILES": str(door.open_files),
        "STOP_SECONDS": str(door.stop_seconds),
        "STATE": "",
        "ACCESS_LOG": ACCESS_LOG,
        "LISTEN": door.listen,
        "OTHER_HOSTS": "0" if door.own_names_only else "1",
        "UPSTREAMS": "\n".join(_upstream(name, servers) for name, servers in door.upstreams.items()),
    }
    return _filled(template, values | {name: _label(name) for name in door.upstreams})


def compose(template: str) -> str:
    """docker-compose.yml's: Docker is asked for names again and again, because a new container has a new address."""
    lines = ["    resolver 127.0.0.11 valid=5s ipv6=off;"]
    lines += [
        f'    map "" $sage_{name.lower()} {{\n        default {_label(name)}:{port};\n    }}'
        for name, port in SERVICES.items()
    ]
    values = {
        "PROCESS": "",
        "WORKER_PROCESSES": "auto",
        "WORKER_CONNECTIONS": "8192",
        "OPEN_FILES": "20000",
        "STOP_SECONDS": "30",
        "STATE": "/tmp/",  # noqa: S108 - the container's own
        "ACCESS_LOG": ACCESS_LOG,
        "LISTEN": "8000",
        "OTHER_HOSTS": "1",
        "UPSTREAMS": "\n".join(lines),
    }
    return _filled(template, values | {name: f"$sage_{name.lower()}" for name in SERVICES})


def _upstream(name: str, servers: Sequence[str]) -> str:
    lines = [f"    upstream {_label(name)} {{"]
    # A replica that was killed is back within seconds, and must not stay out for ten.
    lines += [f"        server {server} max_fails=1 fail_timeout=2s;" for server in servers]
    lines += [f"        keepalive {KEEPALIVE};", f"        keepalive_timeout {KEEPALIVE_SECONDS}s;", "    }"]
    return "\n".join(lines)


def _label(name: str) -> str:
    return name.lower().replace("_", "-")


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


if __name__ == "__main__":
    print(compose(TEMPLATE.read_text()), end="")
