"""Call another SAGE service: typed in, typed out, its errors raised here."""

import aiohttp
import msgspec
from msgspec import Struct

from sage_chassis import logs
from sage_contracts.call import Call, Empty, Req, Res
from sage_contracts.errors import ErrorBody, SageError, ServiceUnavailable, UpstreamError, from_body
from sage_contracts.names import REQUEST_ID_HEADER


class ServiceClient:
    """One service at one address. `name` is how messages call it; `timeout` is for the whole call, in seconds."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, *, name: str, timeout: float = 5.0) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._name = name
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def call(
        self,
        call: Call[Req, Res],
        body: Req,
        *,
        query: Struct | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - handed to aiohttp, which keeps it
        **path: str,
    ) -> Res:
        """
        The service's answer. Raises its own error when it answered one, ServiceUnavailable when it is away or slow, and
        UpstreamError when its answer cannot be read.
        """
        asked = body if call.method in {"GET", "DELETE"} and not isinstance(body, Empty) else query
        url = self._base_url + call.url(asked, **path)
        try:
            async with self._http.request(
                call.method,
                url,
                data=msgspec.json.encode(body) if call.has_body else None,
                headers=_headers(),
                timeout=self._timeout if timeout is None else aiohttp.ClientTimeout(total=timeout),
                allow_redirects=False,
            ) as response:
                raw = await response.read()
        except TimeoutError as error:
            raise ServiceUnavailable(f"{self._name} did not answer in time", retry_after=1) from error
        except aiohttp.ClientError as error:
            raise ServiceUnavailable(f"{self._name} cannot be reached", retry_after=1) from error
        if response.status >= 300:
            raise self._told(response.status, raw, response.headers.get("Retry-After"))
        try:
            return msgspec.json.decode(raw, type=call.response)
        except msgspec.MsgspecError as error:
            raise UpstreamError(
                f"{self._name} answered {call.method} {call.path} with something else: {error}"
            ) from error

    def _told(self, status: int, raw: bytes, retry_after: str | None) -> SageError:
        try:
            body = msgspec.json.decode(raw, type=ErrorBody)
        except msgspec.MsgspecError:
            return UpstreamError(f"{self._name} answered {status}")
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return from_body(status, body, retry_after=seconds)


def _headers() -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if (current := logs.request_id.get()) is not None:
        headers[REQUEST_ID_HEADER] = current
    return headers
