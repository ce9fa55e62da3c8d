"""A client in asyncio: through the gateway, or straight to the engines it knows."""

import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import aiohttp

from sage_chassis.client import ServiceClient
from sage_client import answers
from sage_client.answers import ChatAnswer, ChatFrame, Completion, Embeddings
from sage_client.backends import KnownBackends
from sage_client.exchanges import Exchange, Limits, Refused, begun
from sage_client.failures import MissedBackend, NoBackendAvailable
from sage_client.streams import AsyncStream
from sage_contracts import chat as wire
from sage_contracts.call import Empty
from sage_contracts.chat import Model, ModelList
from sage_contracts.errors import NoEngineAvailable, ServiceUnavailable
from sage_contracts.fleet import EngineKind
from sage_contracts.management import Backends

MOST_ATTEMPTS = 3
GATEWAY_SECONDS = 10.0

Target = tuple[str, str | None]
"""An address, and the model it is to be asked for when the caller named none."""


class AsyncClient:
    """
    Used as `async with AsyncClient("http://127.0.0.1:8000") as client`.

    `base_url` is the gateway's address, with or without `/v1`, or several of one fleet. With `direct` requests go
    straight to the engines the gateway knows: without sessions, documents and `sage-default`, which only it has. The
    engines known are read again every `limits.refresh_seconds`, and when none fits.

    A backend that fails before the first byte is passed over for another, three at most. Raises NoBackendAvailable
    with the reason when none is left, and else what was answered, as sage_contracts.errors has it.
    """

    def __init__(self, base_url: str | Sequence[str], *, direct: bool = False, limits: Limits | None = None) -> None:
        given = [base_url] if isinstance(base_url, str) else base_url
        self._gateways = [one.rstrip("/").removesuffix("/v1") for one in given]
        self._direct = direct
        self._limits = limits or Limits()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._clients = [
            ServiceClient(self._http, url, name=f"the gateway at {url}", timeout=GATEWAY_SECONDS)
            for url in self._gateways
        ]
        self._backends = KnownBackends(self._clients, refresh_seconds=self._limits.refresh_seconds)
        if self._direct:
            self._backends.start()
        self._stack.push_async_callback(self._backends.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stops the refreshing and closes every connection."""
        await self._stack.aclose()

    async def chat(self, messages: Sequence[dict[str, Any]], *, model: str | None = None, **more: Any) -> ChatAnswer:
        """`more` are further fields of the request: `max_tokens`, `session_id`, `rag`, whatever the engine knows."""
        body = {**more, "messages": messages, "model": model, "stream": False}
        return await self._whole(ChatAnswer, wire.CHAT_COMPLETIONS.path, body)

    async def stream_chat(
        self, messages: Sequence[dict[str, Any]], *, model: str | None = None, **more: Any
    ) -> AsyncStream[ChatFrame]:
        """Returns when the answer has begun."""
        body = {**more, "messages": messages, "model": model, "stream": True}
        target, exchange = await self._asked(wire.CHAT_COMPLETIONS.path, body, "llm")
        return AsyncStream(ChatFrame, exchange, self._left(target))

    async def completion(self, prompt: str, *, model: str | None = None, **more: Any) -> Completion:
        body = {**more, "prompt": prompt, "model": model, "stream": False}
        return await self._whole(Completion, wire.COMPLETIONS.path, body)

    async def stream_completion(self, prompt: str, *, model: str | None = None, **more: Any) -> AsyncStream[Completion]:
        """Returns when the answer has begun."""
        body = {**more, "prompt": prompt, "model": model, "stream": True}
        target, exchange = await self._asked(wire.COMPLETIONS.path, body, "llm")
        return AsyncStream(Completion, exchange, self._left(target))

    async def embeddings(self, texts: str | Sequence[str], *, model: str | None = None, **more: Any) -> Embeddings:
        body = {**more, "input": texts, "model": model}
        return await self._whole(Embeddings, wire.EMBEDDINGS.path, body, kind="embedding")

    async def models(self) -> ModelList:
        """What may be asked for; with `direct` the models of the engines, without `sage-default`."""
        if self._direct:
            known = await self._backends.all()
            views = [*known.llm_backends, *known.embedding_backends]
            names = sorted({one.model_name for one in views if one.is_healthy})
            return ModelList(data=[Model(id=name, created=0, owned_by="sage") for name in names])
        missed: list[str] = []
        for client in self._clients:
            try:
                return await client.call(wire.MODELS, Empty())
            except ServiceUnavailable as error:
                missed.append(error.message)
        raise NoBackendAvailable("no gateway answers", tried=missed)

    async def backends(self) -> Backends:
        """The engines as last read from the gateway."""
        return await self._backends.all() if self._direct else await self._backends.refresh()

    async def _whole(
        self, answer: type[answers.A], path: str, body: dict[str, Any], *, kind: EngineKind = "llm"
    ) -> answers.A:
        target, exchange = await self._asked(path, body, kind)
        try:
            return answers.read(answer, await exchange.whole(), session_id=exchange.session_id)
        finally:
            exchange.close()
            self._left(target)()

    async def _asked(self, path: str, body: dict[str, Any], kind: EngineKind) -> tuple[str, Exchange]:
        """The first backend whose answer begins, and that answer. A turn of a session is one, whoever answers it."""
        key = uuid.uuid4().hex if body.get("session_id") and not self._direct else None
        missed: list[str] = []
        refused: Refused | None = None
        for url, model in (await self._targets(kind, body["model"]))[:MOST_ATTEMPTS]:
            sent = {name: value for name, value in {**body, "model": model}.items() if value is not None}
            self._backends.running[url] += 1
            try:
                exchange = await begun(self._http, url + path, sent, self._limits, key=key)
            except MissedBackend as error:
                self._left(url)()
                self._backends.failed.add(url)
                missed.append(f"{url}: {error}")
                refused = error if isinstance(error, Refused) else refused
            except BaseException:
                self._left(url)()
                raise
            else:
                self._backends.failed.discard(url)
                return url, exchange
        if refused is not None and not isinstance(refused.error, NoEngineAvailable):
            raise refused.error
        if refused is not None:
            raise NoBackendAvailable(refused.error.message, tried=missed) from refused.error
        raise NoBackendAvailable("no backend answers", tried=missed)

    async def _targets(self, kind: EngineKind, model: str | None) -> Sequence[Target]:
        if not self._direct:
            return sorted(((url, model) for url in self._gateways), key=lambda one: one[0] in self._backends.failed)
        return [(one.base_url, one.model_name) for one in await self._backends.candidates(kind, model)]

    def _left(self, url: str) -> "_Left":
        return _Left(self._backends, url)


class _Left:
    """Counts a request as ended, once, however often it is told."""

    def __init__(self, backends: KnownBackends, url: str) -> None:
        self._backends = backends
        self._url = url
        self._told = False

    def __call__(self) -> None:
        if not self._told:
            self._told = True
            self._backends.running[self._url] -= 1
