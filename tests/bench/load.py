"""A load of identical HTTP/1.1 requests over kept-alive connections, from one asyncio loop."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
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


async def load(url: str, body: bytes, *, connections: int, requests: int) -> Load:
    """POST `body` to `url` until `requests` answers have come, over `connections` at once."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.hostname}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    todo = iter(range(requests))
    results: list[tuple[float, float, bool]] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_worker(parts.hostname, parts.port or 80, head.encode() + body, todo, results))
    seconds = time.perf_counter() - began
    good = [(first, whole) for first, whole, ok in results if ok]
    return Load(
        seconds=seconds,
        whole=tuple(sorted(whole for _, whole in good)),
        first=tuple(sorted(first for first, _ in good)),
        failed=len(results) - len(good),
    )


async def _worker(
    host: str, port: int, request: bytes, todo: Iterator[int], results: list[tuple[float, float, bool]]
) -> None:
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        for _ in todo:  # one iterator, shared by all workers: each request is taken once
            began = time.perf_counter()
            writer.write(request)
            status, first = await _answer(reader)
            results.append((first - began, time.perf_counter() - began, status == 200))
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, float]:
    """Read one answer; its status, and when the first byte of its body came."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"transfer-encoding: chunked" in head:
        first = 0.0
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            await reader.readexactly(size + 2)
            first = first or time.perf_counter()
            if size == 0:
                return status, first
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return status, time.perf_counter()
