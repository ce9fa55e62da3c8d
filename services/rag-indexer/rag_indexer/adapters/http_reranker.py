"""A reranking engine: vLLM, TEI, llama.cpp, Infinity, Jina or Cohere, by the `/rerank` they all have."""

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from rag_indexer.domain.reranking import RerankerAway


class _Score(Struct, frozen=True):
    index: int
    relevance_score: float | None = None
    score: float | None = None

    @property
    def value(self) -> float:
        found = self.relevance_score if self.relevance_score is not None else self.score
        return math.nan if found is None else found


class _Results(Struct, frozen=True):
    results: list[_Score]


@asynccontextmanager
async def http_reranker(url: str, model: str, *, seconds: float) -> AsyncGenerator["HttpReranker"]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield HttpReranker(http, url, model, seconds=seconds)


class HttpReranker:
    """`url` is the route itself, or the server's address: `/rerank` is added to one that does not end with it."""

    def __init__(self, http: aiohttp.ClientSession, url: str, model: str, *, seconds: float) -> None:
        bare = url.rstrip("/")
        self._http = http
        self._url = bare if bare.endswith("/rerank") else f"{bare}/rerank"
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._field = "documents"
        self._model = model
        self.name = model or "reranker"

    async def relevance(self, query: str, texts: Sequence[str]) -> list[float]:
        """An engine that wants `texts` and not `documents` (TEI) says so once; from then on it gets them."""
        status, raw = await self._asked(query, texts, self._field)
        if status == 422 and self._field == "documents":
            status, raw = await self._asked(query, texts, "texts")
            if status == 200:
                self._field = "texts"
        if status != 200:
            raise RerankerAway(f"answered {status}")
        return _read(raw, len(texts))

    async def _asked(self, query: str, texts: Sequence[str], field: str) -> tuple[int, bytes]:
        body: dict[str, Any] = {"query": query, field: list(texts)}
        if self._model:
            body["model"] = self._model
        try:
            async with self._http.post(
                self._url,
                data=msgspec.json.encode(body),
                headers={"content-type": "application/json"},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RerankerAway(f"no answer ({type(error).__name__})") from error


def _read(raw: bytes, wanted: int) -> list[float]:
    try:
        found = msgspec.json.decode(raw, type=_Results | list[_Score])
    except msgspec.MsgspecError as error:
        raise RerankerAway("answered no scores") from error
    rows = found if isinstance(found, list) else found.results
    values = {row.index: row.value for row in rows}
    if values.keys() != set(range(wanted)) or not all(map(math.isfinite, values.values())):
        raise RerankerAway(f"answered {len(values)} scores for {wanted} passages")
    scores = [values[index] for index in range(wanted)]
    if all(0 <= score <= 1 for score in scores):
        return scores
    return [_squeezed(score) for score in scores]  # logits


def _squeezed(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
