"""Server-sent events on their way out: an error told in the stream, a ping where there is silence."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from sage_contracts.errors import SageError
from sage_contracts.sse import PING, event

log = logging.getLogger(__name__)

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""What keeps proxies from holding frames back."""

PING_SECONDS = 15.0


async def told(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """
    Turn a failure in mid-stream into a last `error` event, and no `[DONE]`: the status line has already been sent.

    The OpenAI SDKs raise APIError on such an event; a stream that just ends would look like success to them.
    """
    try:
        async for chunk in source:
            yield chunk
    except SageError as error:
        yield event(error.body())
    except Exception as error:
        log.exception("stream failed", extra={"error": type(error).__name__})
        yield event(SageError("internal error").body())
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


async def with_pings(source: AsyncIterator[bytes], *, every: float = PING_SECONDS) -> AsyncGenerator[bytes]:
    """`source`, and a comment line after each `every` seconds of silence, so that idle proxies do not cut it."""
    waiting: asyncio.Task[bytes] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(source))
            done, _ = await asyncio.wait({waiting}, timeout=every)
            if not done:
                yield PING
                continue
            chunk, waiting = waiting, None
            try:
                yield chunk.result()
            except StopAsyncIteration:
                return
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await waiting
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


async def _next(source: AsyncIterator[bytes]) -> bytes:
    return await anext(source)
