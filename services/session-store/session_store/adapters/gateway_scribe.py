"""An engine that writes for the store, asked through chat-gateway as anybody asks."""

import aiohttp
import msgspec
from msgspec import Struct

from sage_contracts.errors import ServiceUnavailable, UpstreamError

WRITE_SECONDS = 60.0


class _Message(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    message: _Message


class _Answer(Struct, frozen=True):
    choices: list[_Choice]


class GatewayScribe:
    """Implements Scribe. Asks for no session and no documents: nothing of what it reads is remembered there."""

    def __init__(self, http: aiohttp.ClientSession, gateway_url: str, *, model: str) -> None:
        self._http = http
        self._url = gateway_url.rstrip("/") + "/v1/chat/completions"
        self._model = model

    async def write(self, instructions: str, text: str, *, max_tokens: int) -> str:
        body = {
            "model": self._model,
            "messages": [{"role": "system", "content": instructions}, {"role": "user", "content": text}],
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        timeout = aiohttp.ClientTimeout(total=WRITE_SECONDS)
        headers = {"content-type": "application/json"}
        try:
            async with self._http.post(
                self._url, data=msgspec.json.encode(body), headers=headers, timeout=timeout
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceUnavailable(f"chat-gateway cannot be asked ({type(error).__name__})") from error
        if response.status != 200:
            raise UpstreamError(f"chat-gateway answered {response.status}")
        try:
            found = msgspec.json.decode(raw, type=_Answer)
        except msgspec.MsgspecError as error:
            raise UpstreamError(f"chat-gateway answered something else: {error}") from error
        if not found.choices or not found.choices[0].message.content:
            raise UpstreamError("the engine wrote nothing")
        return found.choices[0].message.content
