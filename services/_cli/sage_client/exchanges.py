"""One request to one backend, up to the first byte of its answer, and then the rest of it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from sage_client.failures import MissedBackend
from sage_contracts.errors import EngineBroke, ErrorBody, IdleTimeout, SageError, UpstreamError, from_body
from sage_contracts.names import IDEMPOTENCY_KEY_HEADER, SESSION_ID_HEADER, SHOULD_RETRY_HEADER

MAY_BE_ASKED_ELSEWHERE = {429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds. `silence_seconds` is how long a backend may say nothing, before its first byte and after it."""

    connect_seconds: float = 2.0
    silence_seconds: float = 300.0
    refresh_seconds: float = 30.0


class Refused(MissedBackend):
    """A backend that answered, and said that it cannot. `error` is what it said."""

    def __init__(self, error: SageError) -> None:
        super().__init__(error.message)
        self.error = error


class Exchange:
    """An answer that has begun: `first` is its first piece."""

    def __init__(self, response: aiohttp.ClientResponse, first: bytes) -> None:
        self._response = response
        self._first = first

    @property
    def session_id(self) -> str | None:
        return self._response.headers.get(SESSION_ID_HEADER)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The answer, whole or until it breaks off: EngineBroke, or IdleTimeout."""
        piece = self._first
        try:
            while piece:
                yield piece
                piece = await self._response.content.readany()
        except TimeoutError as error:
            raise IdleTimeout("the answer stopped in the middle, for too long") from error
        except aiohttp.ClientError as error:
            raise EngineBroke("the answer broke off in the middle") from error

    async def whole(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    def close(self) -> None:
        """An answer that was read to its end leaves its connection for the next; any other one ends with it."""
        self._response.release()


async def begun(
    http: aiohttp.ClientSession, url: str, body: dict[str, Any], limits: Limits, *, key: str | None = None
) -> Exchange:
    """
    Ask, and wait for the first byte. Raises MissedBackend where another backend may be asked, and the backend's own
    error where that would be no use. `key` is the request's name, by which a gateway knows it when it is repeated.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_seconds, sock_read=limits.silence_seconds)
    headers = {"content-type": "application/json"} | ({} if key is None else {IDEMPOTENCY_KEY_HEADER: key})
    raw = msgspec.json.encode(body)
    try:
        response = await http.post(url, data=raw, headers=headers, timeout=timeout, allow_redirects=False)
        try:
            await _accepted(response)
            return Exchange(response, await response.content.readany())
        except BaseException:
            response.close()
            raise
    except TimeoutError as error:
        raise MissedBackend(f"{url} did not answer in time") from error
    except aiohttp.ClientConnectorError as error:
        raise MissedBackend(f"{url} cannot be reached") from error
    except (aiohttp.ClientError, asyncio.IncompleteReadError) as error:
        raise MissedBackend(f"{url} broke off before it answered") from error


async def _accepted(response: aiohttp.ClientResponse) -> None:
    if response.status == 200:
        return
    error = _told(response, await response.read())
    if response.status in MAY_BE_ASKED_ELSEWHERE and response.headers.get(SHOULD_RETRY_HEADER) != "false":
        raise Refused(error)
    raise error


def _told(response: aiohttp.ClientResponse, raw: bytes) -> SageError:
    seconds = response.headers.get("Retry-After", "")
    retry_after = float(seconds) if seconds.isdecimal() else None
    try:
        body = msgspec.json.decode(raw, type=ErrorBody)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return UpstreamError(f"{response.url.origin()} answered {response.status}", retry_after=retry_after)
    return from_body(response.status, body, retry_after=retry_after)
