"""The build of an index, followed as the gateway tells it, and given up with whoever waits for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sage_cli.api import API
from sage_cli.failures import Failed
from sage_cli.output import err, printable
from sage_contracts import index as wire
from sage_contracts import sse
from sage_contracts.errors import ErrorBody, SageError, ServiceUnavailable, UpstreamError, from_body
from sage_contracts.index import BuildEvent, CollectionQuery, IndexStatus

_PATIENT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
"""The gateway breaks its silence every 15 seconds."""


async def followed(api: API, collection: str | None) -> IndexStatus:
    """
    What the collection is when the build under way has ended, its progress shown meanwhile where there is a terminal.

    Raises Failed for a build that failed or was cancelled. Itself cancelled, it has the build cancelled too.
    """
    asked = CollectionQuery(collection=collection)
    try:
        last = await _watched(api, asked)
    except asyncio.CancelledError:
        told = await api.client.call(wire.CANCEL, asked)
        err.print(printable(told.message), markup=False)
        raise
    if last.event in {"failed", "cancelled"}:
        raise Failed(f"the index was not built: {last.message or last.event}")
    found = await api.client.call(wire.STATUS, asked)
    if found.status == "failed" or found.index is None:
        raise Failed(f"the index was not built: {found.error or found.status}")
    return found


async def _watched(api: API, asked: CollectionQuery) -> BuildEvent:
    """The event that ends the build."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files, {task.fields[chunks]} passages"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("building", total=None, chunks=0)
        async with aclosing(_events(api, asked)) as events:
            async for event in events:
                if event.event != "progress":
                    return event
                if (job := event.job) is not None:
                    bar.update(
                        task, description=job.stage, completed=job.done, total=job.total or None, chunks=job.chunks
                    )
    raise UpstreamError("the gateway stopped telling of the build: `sage chat ingest` again, to see what became of it")


async def _events(api: API, asked: CollectionQuery) -> AsyncGenerator[BuildEvent]:
    frames = sse.Frames()
    try:
        async with api.http.get(api.url + wire.EVENTS.url(asked), timeout=_PATIENT) as response:
            if response.status >= 300:
                raise _refusal(response.status, await response.read())
            async for piece in response.content.iter_any():
                for frame in frames.feed(piece):
                    if (data := sse.data(frame)) is not None:
                        yield _event(data)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ServiceUnavailable("the gateway cannot be reached any more", retry_after=1) from error


def _event(data: bytes) -> BuildEvent:
    try:
        return msgspec.json.decode(data, type=BuildEvent)
    except msgspec.MsgspecError as error:
        raise _refusal(502, data) from error


def _refusal(status: int, raw: bytes) -> SageError:
    try:
        return from_body(status, msgspec.json.decode(raw, type=ErrorBody))
    except msgspec.MsgspecError:
        return UpstreamError("the gateway tells of the build in words that are not known here")
