"""The client for code without asyncio: the same one, on a loop of its own in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from sage_client.answers import ChatAnswer, ChatFrame, Completion, Embeddings
from sage_client.async_client import AsyncClient
from sage_client.exchanges import Limits
from sage_client.streams import AsyncStream
from sage_contracts.chat import ModelList
from sage_contracts.management import Backends

T = TypeVar("T")
F = TypeVar("F", ChatFrame, Completion)


class Loop:
    """Runs coroutines for threads that have no loop. A caller that is interrupted cancels what it waits for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sage-client", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._loop.is_closed()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(_cancelled())  # or threads that still wait for an answer would wait for ever
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _cancelled() -> None:
    """Whatever else was begun here is cancelled, and over."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class Stream(Generic[F]):
    """`for frame in stream`. Leaving early: `stream.close()`, or use it in `with`; the engine then stops too."""

    def __init__(self, loop: Loop, stream: AsyncStream[F]) -> None:
        self._loop = loop
        self._stream: AsyncStream[F] = stream
        self.session_id = stream.session_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> F:
        frame = self._loop.run(self._next())
        if frame is None:
            raise StopIteration
        return frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._loop.run(self._stream.aclose())

    async def _next(self) -> F | None:
        return await anext(self._stream, None)


class Client:
    """
    Used as `with Client("http://127.0.0.1:8000") as client`, or closed with `close()`; any thread may call it.

    What each thing does, and what it raises: see AsyncClient, which this is, one call at a time.
    """

    def __init__(self, base_url: str | Sequence[str], *, direct: bool = False, limits: Limits | None = None) -> None:
        self._client = AsyncClient(base_url, direct=direct, limits=limits)
        self._loop = Loop()
        self._loop.run(self._client.__aenter__())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops the refreshing, closes every connection and ends the thread. A second time it does nothing."""
        if self._loop.is_closed:
            return
        try:
            self._loop.run(self._client.close())
        finally:
            self._loop.close()

    def chat(self, messages: Sequence[dict[str, Any]], *, model: str | None = None, **more: Any) -> ChatAnswer:
        return self._loop.run(self._client.chat(messages, model=model, **more))

    def stream_chat(
        self, messages: Sequence[dict[str, Any]], *, model: str | None = None, **more: Any
    ) -> Stream[ChatFrame]:
        return Stream(self._loop, self._loop.run(self._client.stream_chat(messages, model=model, **more)))

    def completion(self, prompt: str, *, model: str | None = None, **more: Any) -> Completion:
        return self._loop.run(self._client.completion(prompt, model=model, **more))

    def stream_completion(self, prompt: str, *, model: str | None = None, **more: Any) -> Stream[Completion]:
        return Stream(self._loop, self._loop.run(self._client.stream_completion(prompt, model=model, **more)))

    def embeddings(self, texts: str | Sequence[str], *, model: str | None = None, **more: Any) -> Embeddings:
        return self._loop.run(self._client.embeddings(texts, model=model, **more))

    def models(self) -> ModelList:
        return self._loop.run(self._client.models())

    def backends(self) -> Backends:
        return self._loop.run(self._client.backends())
