"""A streamed answer, frame by frame."""

from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from sage_client import answers
from sage_client.answers import ChatFrame, Completion
from sage_client.exchanges import Exchange
from sage_contracts import sse
from sage_contracts.errors import EngineBroke

F = TypeVar("F", ChatFrame, Completion)


class AsyncStream(Generic[F]):
    """
    `async for frame in stream`. Leaving early: `await stream.aclose()`, or use it in `async with`; the engine then
    stops too. An answer that breaks off raises EngineBroke, IdleTimeout, or the error it told.
    """

    def __init__(self, kind: type[F], exchange: Exchange, closed: Callable[[], None]) -> None:
        self._kind: type[F] = kind
        self._exchange = exchange
        self._closed = closed
        self._frames: AsyncGenerator[F] = self._read()
        self.session_id = exchange.session_id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> F:
        return await anext(self._frames)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._frames.aclose()
        self._end()

    async def _read(self) -> AsyncGenerator[F]:
        frames, is_whole = sse.Frames(), False
        try:
            async for piece in self._exchange.pieces():
                for frame in frames.feed(piece):
                    data = sse.data(frame)
                    if data == b"[DONE]":
                        return
                    if data is None:
                        continue
                    answer = answers.read(self._kind, data, session_id=self.session_id)
                    if "error" in answer.raw:
                        raise _told(answer.raw["error"])
                    is_whole = is_whole or answer.is_last
                    yield answer
            if not is_whole:
                raise EngineBroke("the answer broke off in the middle")
        finally:
            self._end()

    def _end(self) -> None:
        self._exchange.close()
        self._closed()


def _told(error: Any) -> EngineBroke:
    """Engines tell it in many forms; every one means that the answer is not whole."""
    message = error.get("message") if isinstance(error, dict) else error
    text = message if isinstance(message, str) else msgspec.json.encode(error).decode()
    return EngineBroke(f"the answer broke off: {text}")
