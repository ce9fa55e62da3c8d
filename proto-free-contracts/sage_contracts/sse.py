"""Server-sent events as bytes: cutting a stream into frames, reading a frame's data, writing one."""

import re

import msgspec
from msgspec import Struct

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Frames:
    """Cuts bytes, in whatever pieces they come, into whole frames. `limit` bounds a frame that never ends, in bytes."""

    def __init__(self, limit: int = 16 * 1024 * 1024) -> None:
        self._rest = b""
        self._limit = limit

    def feed(self, piece: bytes) -> list[bytes]:
        """The frames that `piece` completes, each with the blank line that ends it; ValueError past the limit."""
        buffer = self._rest + piece if self._rest else piece
        frames: list[bytes] = []
        start = 0
        # A terminator may straddle two pieces, so the search begins a little before the new bytes.
        position = max(0, len(self._rest) - 3)
        while (end := _END.search(buffer, position)) is not None:
            frames.append(buffer[start : end.end()])
            start = position = end.end()
        self._rest = buffer[start:]
        if len(self._rest) > self._limit:
            raise ValueError(f"a frame is longer than {self._limit} bytes")
        return frames

    def rest(self) -> bytes:
        """What came after the last whole frame."""
        return self._rest


def data(frame: bytes) -> bytes | None:
    """The frame's data, its lines joined; None for a comment or an event without data."""
    if frame.startswith(b"data: ") and frame.find(b"\n") >= len(frame) - 2:
        return frame[6:].rstrip(b"\r\n")
    lines = [line[5:].removeprefix(b" ") for line in frame.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def event(body: Struct | dict[str, object]) -> bytes:
    """One frame that carries `body` as JSON."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
