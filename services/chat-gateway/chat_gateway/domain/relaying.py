"""Pass a stream on, frame by frame, and see to it that its end is told truly."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from chat_gateway.domain.ports import Breaker, EngineDropped, Flow
from chat_gateway.domain.reading import Reader, chunk_of, is_done
from sage_contracts.errors import AnswerTooLarge, EngineBroke, SageError, UpstreamError
from sage_contracts.sse import DONE, PING, Frames


class Ending(Protocol):
    """What must happen when a stream is over."""

    async def complete(self) -> None:
        """Before `[DONE]` is passed on; an error raised here is told in its place."""
        ...

    def broken(self, by: Breaker) -> None:
        """The client never saw `[DONE]`. May not wait: the request may be cancelled already."""
        ...


async def relayed(
    flow: Flow,
    reader: Reader,
    ending: Ending,
    over: Callable[[Breaker | None], None],
    *,
    largest: int | None = None,
) -> AsyncGenerator[bytes]:
    """
    The engine's frames as they come, a ping where it is silent, and `[DONE]` only after a whole answer.

    `largest` bounds the answer, in bytes, where the reader keeps what it reads.

    Raises what went wrong in mid-stream, for the caller to tell in the stream. However it is left, the engine is left
    too, and `over` is told who broke it off, if anyone. The first item is empty: take it at once, and the cleaning up
    is certain from then on.
    """
    broken_by: Breaker | None = "client"
    try:
        yield b""
        async for out in _until_done(flow, reader, largest):
            yield out
        if reader.failed:
            broken_by = "engine"
            return
        if last := reader.rest():
            yield last
        try:
            await ending.complete()
        except SageError:
            broken_by = "store"
            raise
        broken_by = None
        yield DONE
        await flow.finish()
    except UpstreamError:
        broken_by = "store" if broken_by == "store" else "engine"
        raise
    finally:
        flow.close()
        over(broken_by)
        if broken_by is not None:
            ending.broken(broken_by)


async def _until_done(flow: Flow, reader: Reader, largest: int | None) -> AsyncGenerator[bytes]:
    frames, received = Frames(), 0
    async with aclosing(_pieces(flow)) as pieces:
        async for piece in pieces:
            if not piece:
                yield PING
                continue
            received += len(piece)
            if largest is not None and received > largest:
                raise AnswerTooLarge(f"the engine's answer is larger than {largest:,} bytes")
            out, done = _read(_cut(frames, piece), reader)
            if out:
                yield out
            if done:
                return
    end = frames.rest() + b"\n\n"
    done = is_done(end)
    if chunk_of(end) is not None:
        out, done = _read([end], reader)
        yield out
    if not done and not reader.finished:
        raise EngineBroke("the engine closed its answer before it had finished")


def _read(frames: list[bytes], reader: Reader) -> tuple[bytes, bool]:
    """What the client gets for the frames, and whether they end the answer."""
    done = next((index for index, frame in enumerate(frames) if is_done(frame)), None)
    out = reader.read(*frames[:done])
    return out, done is not None or reader.failed


def _cut(frames: Frames, piece: bytes) -> list[bytes]:
    try:
        return frames.feed(piece)
    except ValueError as error:
        raise EngineBroke(f"the engine's answer cannot be read: {error}") from error


async def _pieces(flow: Flow) -> AsyncGenerator[bytes]:
    try:
        async for piece in flow.pieces():
            yield piece
    except EngineDropped as error:
        raise EngineBroke(f"the engine stopped in the middle of its answer: {error}") from error
