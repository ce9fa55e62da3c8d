"""Engines looked at over HTTP: whether they answer, and what they serve."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from control_plane.adapters.checked_addresses import CheckedAddresses, CheckedResolver
from control_plane.domain import addressing
from control_plane.domain.ports import Model
from control_plane.domain.registrations import is_model_id
from sage_contracts.errors import AddressRefused

ANSWER_BYTES = 1024 * 1024
NO_SUCH_ROUTE = frozenset({404, 405, 501})


@asynccontextmanager
async def connections(addresses: CheckedAddresses) -> AsyncGenerator[aiohttp.ClientSession]:
    """Connections to checked addresses alone: no proxy, no cookies; no limit, so that no engine waits for another."""
    connector = aiohttp.TCPConnector(limit=0, use_dns_cache=False, resolver=CheckedResolver(addresses))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield http


class HTTPProber:
    """
    `http` comes from `connections`.

    No redirect is followed and no more than a megabyte is read: an engine's answer is not to be trusted.
    """

    def __init__(self, http: aiohttp.ClientSession, addresses: CheckedAddresses, *, timeout_seconds: float) -> None:
        self._http = http
        self._addresses = addresses
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def answers(self, host: str, port: int) -> bool:
        """By `/health`, or by `/v1/models` where the engine has no such route."""
        status, _ = await self._get(host, port, "/health")
        if status in NO_SUCH_ROUTE:
            status, _ = await self._get(host, port, "/v1/models")
        return status is not None and 200 <= status < 300

    async def models(self, host: str, port: int) -> Sequence[Model]:
        (status, listed), (props_status, props) = await asyncio.gather(
            self._get(host, port, "/v1/models"), self._get(host, port, "/props")
        )
        if status != 200:
            return []
        window = _window(props) if props_status == 200 else None
        return _models(listed, window)

    async def _get(self, host: str, port: int, path: str) -> tuple[int | None, object]:
        """The status and the JSON answered; None for whatever kept it from answering, or from being asked."""
        try:
            if addressing.literal(host) is not None:
                await self._addresses.check(host)  # aiohttp asks no resolver about an address
            async with self._http.get(
                addressing.base_url(host, port) + path, timeout=self._timeout, allow_redirects=False
            ) as response:
                return response.status, _json(await _head(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AddressRefused):
            return None, None


async def _head(response: aiohttp.ClientResponse) -> bytes:
    read = bytearray()
    async for chunk in response.content.iter_any():
        read += chunk
        if len(read) > ANSWER_BYTES:
            response.close()
            break
    return bytes(read)


def _json(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _models(listed: object, window: int | None) -> list[Model]:
    """
    OpenAI's list, read as far as it can be.

    The window is llama.cpp's as it runs (`/props`), else vLLM's `max_model_len`, else what the model was trained on.
    """
    entries = listed.get("data") if isinstance(listed, dict) else None
    found: list[Model] = []
    for entry in entries if isinstance(entries, list) else []:
        model_id = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(model_id, str) and is_model_id(model_id):
            found.append(Model(model_id, window or _tokens(entry)))
    return found


def _tokens(entry: dict[str, Any]) -> int | None:
    meta = entry.get("meta")
    return _count(entry.get("max_model_len")) or _count(meta.get("n_ctx_train") if isinstance(meta, dict) else None)


def _window(props: object) -> int | None:
    if not isinstance(props, dict):
        return None
    defaults = props.get("default_generation_settings")
    inner = defaults.get("n_ctx") if isinstance(defaults, dict) else None
    return _count(inner) or _count(props.get("n_ctx"))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None
