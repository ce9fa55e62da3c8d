"""A load of HTTP/1.1 requests over kept-alive connections, from one asyncio loop."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What one run showed. Latencies are of whole answers, in seconds, sorted; `first` to the first body byte."""

    seconds: float
    whole: tuple[float, ...]
    first: tuple[float, ...]
    failed: int

    @property
    def per_second(self) -> float:
        return len(self.whole) / self.seconds

    def percentile(self, share: float) -> float:
        """Of whole answers; `share` 0.5 is the median."""
        return self.whole[min(len(self.whole) - 1, int(len(self.whole) * share))]

    def first_percentile(self, share: float) -> float:
        return self.first[min(len(self.first) - 1, int(len(self.first) * share))]


async def load(
    url: str,
    body: bytes | Sequence[bytes],
    *,
    connections: int,
    requests: int,
    good: Callable[[bytes], bool] = lambda _: True,
    until: Callable[[], bool] = lambda: False,
) -> Load:
    """
    POST `body`, or each of several in turn, to `url` over `connections` at once.

    It ends when `requests` answers have come, or when `until` says so. An answer whose body is not `good` has failed.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.hostname}\r\nContent-Type: application/json\r\nContent-Length: "
    bodies = [body] if isinstance(body, bytes) else body
    ready = [f"{head}{len(one)}\r\n\r\n".encode() + one for one in bodies]
    todo = (ready[number % len(ready)] for number in takewhile(lambda _: not until(), range(requests)))
    results: list[tuple[float, float, bool]] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_worker(parts.hostname, parts.port or 80, todo, results, good))
    seconds = time.perf_counter() - began
    taken = [(first, whole) for first, whole, ok in results if ok]
    return Load(
        seconds=seconds,
        whole=tuple(sorted(whole for _, whole in taken)),
        first=tuple(sorted(first for first, _ in taken)),
        failed=len(results) - len(taken),
    )


async def _worker(
    host: str,
    port: int,
    todo: Iterator[bytes],
    results: list[tuple[float, float, bool]],
    good: Callable[[bytes], bool],
) -> None:
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        for request in todo:  # one iterator, shared by all workers: each request is taken once
            began = time.perf_counter()
            writer.write(request)
            status, first, told = await _answer(reader)
            seconds = time.perf_counter() - began
            results.append((first - began, seconds, status == 200 and good(told)))
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, float, bytes]:
    """Read one answer; its status, when the first byte of its body came, and the body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"transfer-encoding: chunked" in head:
        first, pieces = 0.0, list[bytes]()
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            pieces.append((await reader.readexactly(size + 2))[:-2])
            first = first or time.perf_counter()
            if size == 0:
                return status, first, b"".join(pieces)
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    told = await reader.readexactly(length)
    return status, time.perf_counter(), told
