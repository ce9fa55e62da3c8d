"""Ports: which are free, and who has one that is not."""

import errno
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from itertools import chain

import psutil

from sage_chassis import ports
from sage_cli.failures import Failed


def chosen(names: Iterable[str], *, kept: Mapping[str, int]) -> dict[str, int]:
    """A free port on loopback for each name; the one it had before where that is still free."""
    found: dict[str, int] = {}
    candidates = ports.candidates()
    with ExitStack() as held:
        for name in names:
            before = [kept[name]] if name in kept else []
            for port in chain(before, candidates):
                if port not in found.values() and (probe := _bound("127.0.0.1", port)) is not None:
                    held.enter_context(probe)
                    found[name] = port
                    break
            else:
                raise Failed("no free port was found on this machine")
    return found


def require_free(host: str, port: int) -> None:
    """Fails in a sentence when the front door cannot listen there."""
    try:
        with ports.listening(host, port):
            return
    except UnicodeError as error:
        raise Failed(f"{host!r} is no address to listen on: set SAGE_GATEWAY_HOST") from error
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                told = f"port {port} is in use{_holder(port)}: stop that, or choose another port with SAGE_GATEWAY_PORT"
            case errno.EACCES:
                told = f"port {port} is for root alone: choose one above 1023 with SAGE_GATEWAY_PORT"
            case _:
                told = f"nothing can listen on {host}:{port}: {error.strerror or error}"
        raise Failed(told) from error


def _holder(port: int) -> str:
    """` by name (pid 12)`, or nothing where the kernel will not tell."""
    try:
        connections = psutil.net_connections("inet")
    except (psutil.Error, OSError):
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            try:
                name = psutil.Process(connection.pid).name()
            except psutil.Error:
                name = "a process"
            return f" by {name} (pid {connection.pid})"
    return " by a process of another user"


def _bound(host: str, port: int) -> socket.socket | None:
    try:
        return ports.listening(host, port)
    except OSError:
        return None
