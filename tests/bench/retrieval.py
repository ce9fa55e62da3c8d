"""What retrieval takes: building, changing, searching, rebuilding under load. Prints figures, judges nothing."""

import argparse
import asyncio
import json
import math
import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.corpus import Corpus
from tests.bench.indexer import Indexer, Memory, indexer
from tests.bench.load import Load, load

CORPUS = Corpus(files=2_000, bytes_a_file=9_500)
SIZES = (20_000, 100_000)
"""Passages in the index while it is searched."""

SEARCH = "/v1/retrieval/search"
ANSWERED = b'"evidence":true'
CLIENTS = (1, 16)
SEARCHES = 1_000
UNDER_LOAD = 4
"""Clients that search while the index is rebuilt."""

BARS = {20_000: "p50 at most 8 ms", 100_000: "p50 at most 20 ms"}

console = Console(width=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="searched at so many passages")
    parser.add_argument("--files", type=int, default=CORPUS.files, help="of the corpus that is built from nothing")
    arguments = parser.parse_args()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; one client process"
    )
    with tempfile.TemporaryDirectory(prefix="sage-bench-") as folder:
        asyncio.run(measure(Path(folder), replace(CORPUS, files=arguments.files), arguments.sizes))


async def measure(folder: Path, corpus: Corpus, sizes: tuple[int, ...]) -> None:
    docs = folder / "docs"
    written = corpus.write(docs)
    shown = _table(f"{corpus.files} Markdown files, {written / 1e6:.0f} MB", "scenario", "figure", "bar")
    async with indexer(folder) as service:
        chunks = await builds(service, corpus, docs, shown)
        console.print(shown)
        searches = _table("searches", "passages", "clients", "p50 ms", "p99 ms", "searches/s", "failed or empty", "bar")
        rebuilds = _table(
            "forced rebuild while it is searched",
            "passages",
            "seconds",
            "searches",
            "p50 ms",
            "p99 ms",
            "failed or empty",
        )
        for size in sizes:
            # The same files and more of them: what is there already is not parsed again.
            corpus = replace(corpus, files=max(corpus.files, math.ceil(corpus.files * size / chunks)))
            corpus.write(docs)
            _, told = await service.build(docs)
            chunks = told["index"]["num_chunks"]
            bodies = await answered(service, corpus.questions(SEARCHES))
            await searched(service, bodies, chunks, size, searches)
            if size == min(sizes):
                await rebuilt(service, bodies, docs, chunks, rebuilds)
    console.print(searches)
    console.print(rebuilds)


async def builds(service: Indexer, corpus: Corpus, docs: Path, shown: Table) -> int:
    with Memory(service.pid) as memory:
        whole, told = await service.build(docs)
    chunks = int(told["index"]["num_chunks"])
    rate = f"{chunks} passages in {whole:.1f} s: {chunks / whole:.0f}/s"
    shown.add_row("from nothing", rate, "at least 250/s")
    shown.add_row("memory meanwhile, children included", f"{memory.peak / 1e6:.0f} MB", "less than 600 MB")
    seconds, told = await service.build(docs)
    shown.add_row("again, nothing changed", f"{seconds:.2f} s ({told['status']})", "")
    corpus.change(docs, range(0, corpus.files, 100))
    seconds, told = await service.build(docs)
    quicker = f"{seconds:.2f} s: {whole / seconds:.0f} times as fast ({told['message']})"
    shown.add_row("again, 1 % changed", quicker, "at least 20 times")
    return chunks


async def answered(service: Indexer, questions: list[str]) -> list[bytes]:
    """Those that find something while nobody disturbs; from then on, to find nothing is a failure."""
    bodies = [json.dumps({"query": question}).encode() for question in questions]
    found: list[bytes] = []
    for body in bodies:
        async with service.http.post(SEARCH, data=body, headers={"Content-Type": "application/json"}) as response:
            if ANSWERED in await response.read():
                found.append(body)
    return found


async def searched(service: Indexer, bodies: list[bytes], chunks: int, size: int, shown: Table) -> None:
    for clients in CLIENTS:
        run = await _load(service, bodies, clients=clients, searches=SEARCHES)
        bar = BARS.get(size, "") if clients == 1 else ""
        shown.add_row(f"{chunks:,}", str(clients), *_times(run), f"{run.per_second:.0f}", str(run.failed), bar)


async def rebuilt(service: Indexer, bodies: list[bytes], docs: Path, chunks: int, shown: Table) -> None:
    building = asyncio.create_task(service.build(docs, force_rebuild=True))
    run = await _load(service, bodies, clients=UNDER_LOAD, searches=10**9, until=building)
    seconds, _ = await building
    shown.add_row(f"{chunks:,}", f"{seconds:.0f}", str(len(run.whole) + run.failed), *_times(run), str(run.failed))


async def _load(
    service: Indexer, bodies: list[bytes], *, clients: int, searches: int, until: "asyncio.Task[Any] | None" = None
) -> Load:
    return await load(
        service.url + SEARCH,
        bodies,
        connections=clients,
        requests=searches,
        good=lambda told: ANSWERED in told,
        until=(lambda: False) if until is None else until.done,
    )


def _times(run: Load) -> tuple[str, str]:
    return f"{run.percentile(0.5) * 1000:.1f}", f"{run.percentile(0.99) * 1000:.1f}"


def _table(title: str, *columns: str) -> Table:
    shown = Table(title=title, title_justify="left")
    for column in columns:
        shown.add_column(column)
    return shown


if __name__ == "__main__":
    main()
