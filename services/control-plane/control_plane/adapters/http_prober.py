"""Engines looked at over HTTP: whether they answer, and what they serve."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from control_plane.adapters.checked_addresses import CheckedAddresses, CheckedResolver
from control_plane.domain import addressing, loads
from control_plane.domain.ports import Model
from control_plane.domain.registrations import is_model_id
from sage_contracts.errors import AddressRefused
from sage_contracts.management import EngineLoad

ANSWER_BYTES = 1024 * 1024
NO_SUCH_ROUTE = frozenset({404, 405, 501})
QUIET_ROUNDS = 30
"""An engine that tells no load is asked again only after so many rounds."""
MOST_QUIET = 10_000


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
        self._load_seconds = timeout_seconds
        self._quiet: dict[tuple[str, int], int] = {}

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

    async def load(self, host: str, port: int) -> EngineLoad | None:
        """From `/metrics` (vLLM, llama.cpp), else from `/api/ps` (Ollama), within the time of one probe."""
        rounds = self._quiet.pop((host, port), 0)
        if rounds > 0:
            self._quiet[host, port] = rounds - 1
            return None
        try:
            async with asyncio.timeout(self._load_seconds):
                status, page = await self._fetch(host, port, "/metrics")
                load = loads.of_metrics(page) if status == 200 else None
                if load is None and status is not None:
                    status, listed = await self._get(host, port, "/api/ps")
                    load = loads.of_ollama(listed) if status == 200 else None
        except TimeoutError:
            return None
        if load is None and status is not None and len(self._quiet) < MOST_QUIET:
            self._quiet[host, port] = QUIET_ROUNDS
        return load

    async def _get(self, host: str, port: int, path: str) -> tuple[int | None, object]:
        status, raw = await self._fetch(host, port, path)
        return status, None if status is None else _json(raw)

    async def _fetch(self, host: str, port: int, path: str) -> tuple[int | None, bytes]:
        """The status and the body's beginning; None for whatever kept it from answering, or from being asked."""
        try:
            if addressing.literal(host) is not None:
                await self._addresses.check(host)  # aiohttp asks no resolver about an address
            async with self._http.get(
                addressing.base_url(host, port) + path, timeout=self._timeout, allow_redirects=False
            ) as response:
                return response.status, await _head(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AddressRefused):
            return None, b""


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
