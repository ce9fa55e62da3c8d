"""A conversation in the terminal: one session, answers shown as they are made."""

import uuid
from typing import Any

import aiohttp
import msgspec

from sage_cli.api import API
from sage_cli.failures import Failed
from sage_contracts import chat, sse
from sage_contracts.errors import ErrorBody
from sage_contracts.names import SESSION_ID_HEADER

SILENCE_SECONDS = 300.0


class Conversation:
    """`session` names it, so that it can be gone on with."""

    def __init__(self, *, model: str, session: str | None) -> None:
        self._model = model
        self.session = session or f"cli-{uuid.uuid4().hex[:12]}"

    async def say(self, api: API, text: str) -> None:
        """Ask, and print the answer as it comes. Raises Failed with what the gateway said went wrong."""
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": text}],
            "stream": True,
            "session_id": self.session,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE_SECONDS)
        url = api.url + chat.CHAT_COMPLETIONS.path
        async with api.http.post(url, json=body, timeout=timeout) as response:
            if response.status != 200:
                raise Failed(_told(await response.read(), response.status))
            self.session = response.headers.get(SESSION_ID_HEADER, self.session)
            await self._print(response)
        print(flush=True)

    async def _print(self, response: aiohttp.ClientResponse) -> None:
        frames = sse.Frames()
        async for piece in response.content.iter_any():
            for frame in frames.feed(piece):
                data = sse.data(frame)
                if data is None or data == b"[DONE]":
                    continue
                print(_text(msgspec.json.decode(data)), end="", flush=True)


def _text(event: Any) -> str:
    """What a frame adds to the answer. An error in mid-stream is raised: the answer is not whole."""
    if "error" in event:
        raise Failed(f"the answer broke off: {event['error'].get('message')}")
    choices = event.get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""


def _told(raw: bytes, status: int) -> str:
    try:
        return msgspec.json.decode(raw, type=ErrorBody).error.message
    except msgspec.MsgspecError:
        return f"the gateway answered {status}"
