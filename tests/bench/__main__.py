"""What nginx, the gateway and a turn of a session add to an engine: `make bench`. Prints figures, and the bars of sessions."""

import asyncio
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import sessions
from tests.bench.engine import Bare, engines
from tests.bench.fleet import register
from tests.bench.load import Load, load
from tests.bench.probes import probes
from tests.fakes.stack import Stack, local_stack

ALONE = 400
"""Requests at one connection."""
TOGETHER = 4000
"""Requests at 32 connections."""
ROUNDS = 3
"""Each path is measured so often, in turn; the median run is printed. One round before them warms up."""

console = Console(width=110)


def main() -> None:
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; loopback, one client process"
    )
    with tempfile.TemporaryDirectory(prefix="sage-bench-") as folder, engines(Path(folder)) as kinds:
        began = time.perf_counter()
        with local_stack(SAGE_DEMO_ENGINE="0") as stack:
            console.print(f"the stack started in {time.perf_counter() - began:.1f} s")
            asyncio.run(measure(stack, kinds))
            tell_memory(stack)
            console.print(sessions.table(asyncio.run(sessions.measured(stack, kinds[0]))))
        console.print(asyncio.run(probes(Path(folder), int(kinds[0].engine.rpartition(":")[2]))))


async def measure(stack: Stack, kinds: tuple[Bare, Bare]) -> None:
    for kind in kinds:
        await register(stack, kind)
    for kind, what in zip(kinds, ("JSON answers of 64 tokens", "streams of 65 frames"), strict=True):
        paths: dict[str, tuple[str, dict[str, str]]] = {
            "engine, direct": (kind.engine, {}),
            "bare nginx": (kind.bare, {}),
            "SAGE: nginx + chat-gateway": (stack.url, {}),
        }
        if kind is kinds[0]:
            paths["SAGE, each chat a turn of a session"] = (stack.url, {"session_id": "bench"})
        console.print(table(what, await rounds(kind, paths)))


async def rounds(kind: Bare, paths: dict[str, tuple[str, dict[str, str]]]) -> dict[str, tuple[Load, Load]]:
    """Each path's median run at one connection and at 32."""
    runs: dict[str, list[tuple[Load, Load]]] = {name: [] for name in paths}
    for number in range(ROUNDS + 1):
        for name, (url, extra) in paths.items():
            body = json.dumps({"model": kind.model, "stream": kind.streams, "messages": MESSAGES, **extra}).encode()
            whole = f"{url}/v1/chat/completions"
            # A session is one conversation: its turns come one after the other, and it grows.
            many = ALONE if extra else TOGETHER
            run = (
                await load(whole, body, connections=1, requests=ALONE),
                await load(whole, body, connections=1 if extra else 32, requests=many),
            )
            failed = run[0].failed + run[1].failed
            assert not failed, f"{name}: {failed} requests failed"
            if number:
                runs[name].append(run)
    return {
        name: (
            sorted((alone for alone, _ in found), key=lambda run: run.percentile(0.5))[ROUNDS // 2],
            sorted((together for _, together in found), key=lambda run: run.per_second)[ROUNDS // 2],
        )
        for name, found in runs.items()
    }


MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant. " * 4},
    {"role": "user", "content": "Tell me in a few words what a gateway is for. " * 4},
]


def table(what: str, found: dict[str, tuple[Load, Load]]) -> Table:
    direct, bare = found["engine, direct"], found["bare nginx"]
    shown = Table(title=what, title_justify="left")
    shown.add_column("path")
    for column in ("p50 ms", "p99 ms", "first byte ms", "added ms", "32 conn: /s", "to bare nginx"):
        shown.add_column(column, justify="right")
    for name, (alone, together) in found.items():
        added = (alone.percentile(0.5) - direct[0].percentile(0.5)) * 1000
        shown.add_row(
            name,
            f"{alone.percentile(0.5) * 1000:.2f}",
            f"{alone.percentile(0.99) * 1000:.2f}",
            f"{alone.first_percentile(0.5) * 1000:.2f}",
            f"{added:.2f}",
            "" if "session" in name else f"{together.per_second:,.0f}",
            "" if "session" in name else f"{together.per_second / bare[1].per_second:.2f}",
        )
    return shown


def tell_memory(stack: Stack) -> None:
    status = stack.status()
    resident = sum(one["rss_bytes"] for one in status["processes"] if one["name"] != "engine")
    console.print(f"resident memory of the whole stack without an engine, after this load: {resident / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
