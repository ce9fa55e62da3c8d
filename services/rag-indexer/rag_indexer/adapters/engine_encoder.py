"""Dense vectors from an embedding engine of the fleet, asked through chat-gateway."""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

import aiohttp
import msgspec
from msgspec import Struct

from rag_indexer.domain.ports import Kind
from sage_chassis import logs
from sage_contracts import chat
from sage_contracts.errors import EncoderAway
from sage_contracts.names import REQUEST_ID_HEADER

_SHORTEST_LETTERS = 200
"""A text that is refused is cut down to this, not further."""
_TOO_MUCH = frozenset({400, 413, 422, 500, 502})
"""What engines answer to a batch, or a text, that is too long for them; some of them with a fault of their own."""
_TOO_LATE = 504


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What this model wants before a text, as `query:` and `passage:` for the e5 family; a space follows it."""

    query: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How much is asked at once, and how long is waited, in seconds.

    A question is asked once, in parts where it is too long, all of it within `query`, and not at all for `pause` after
    one that nobody answered: a search must not wait for an engine that is away. Passages are asked again, `attempts`
    times in all, first after `backoff`, then after twice as long each time, or as long as the engine asks for, up to
    `longest`. Where fewer than `batch` are asked at once, twice as many are once that takes less than `quick`.
    """

    batch: int = 32
    at_once: int = 2
    query: float = 1.5
    passages: float = 120.0
    quick: float = 12.0
    attempts: int = 6
    backoff: float = 0.5
    longest: float = 20.0
    pause: float = 5.0


class _Row(Struct, frozen=True):
    embedding: list[float]
    index: int


class _Embedded(Struct, frozen=True):
    data: list[_Row]


class _Refused(Exception):
    """The engine will not do this as it is asked; less of it, it may. `may_pass` when it may be the engine's fault."""

    def __init__(self, status: int, told: bytes) -> None:
        super().__init__(f"answered {status} {told[:200].decode(errors='replace')}")
        self.may_pass = status >= 500


class _Away(Exception):
    """Nobody could answer just now. `after` is how many seconds the answer asked to wait."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class _Slow(_Away):
    """No answer in time: of less, there may be one."""


class _Faulty(_Away):
    """The engine is there, and answered this text with a fault."""


@asynccontextmanager
async def engine_encoder(
    url: str, model: str, prefixes: Prefixes = Prefixes(), pace: Pace = Pace()
) -> AsyncGenerator["EngineEncoder"]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield EngineEncoder(http, url, model, prefixes, pace)


class EngineEncoder:
    """
    At most `pace.at_once` batches of passages are under way, whoever asks, so that an engine that chats as well is not
    buried; questions go before them, beside them. A batch that took too long is asked again in halves, and later ones
    are as small until the engine is quick again: a slow one would else never come to an end of any.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, model: str, prefixes: Prefixes, pace: Pace) -> None:
        self._http = http
        self._url = url.rstrip("/") + chat.EMBEDDINGS.path
        self._model = model
        self._prefixes = prefixes
        self._pace = pace
        self._turns = asyncio.Semaphore(pace.at_once)
        self._at_a_time = pace.batch
        self._away_until = 0.0

    @property
    def name(self) -> str:
        return self._model

    @property
    def fingerprint(self) -> str:
        told = msgspec.json.encode([self._model, self._prefixes.query, self._prefixes.passage]).decode()
        return f"engine:{told.replace(' ', '_')}"

    async def dimensions(self) -> int:
        """Asked for each time: another engine may have taken the model's name."""
        (vector,) = await self.encode(["dimensions"], kind="passage")
        return len(vector)

    async def encode(self, texts: Sequence[str], *, kind: Kind) -> list[list[float]]:
        if kind == "query":
            return await self._questions(_prefixed(self._prefixes.query, texts))
        whole = _prefixed(self._prefixes.passage, texts)
        batches = [whole[start : start + self._pace.batch] for start in range(0, len(whole), self._pace.batch)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._in_turn(batch)) for batch in batches]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [vector for task in tasks for vector in task.result()]

    async def _questions(self, texts: list[str]) -> list[list[float]]:
        if (left := self._away_until - monotonic()) > 0:
            raise EncoderAway(f"{self._model} did not answer a moment ago", retry_after=math.ceil(left))
        try:
            async with asyncio.timeout(self._pace.query):
                return await self._fitted(texts, self._pace.query, again=False)
        except (TimeoutError, _Away) as error:
            if not isinstance(error, _Faulty):  # which may be this question's alone
                self._away_until = monotonic() + self._pace.pause
            told = str(error) or "no answer (TimeoutError)"
            raise EncoderAway(f"{self._model}: {told}", retry_after=math.ceil(self._pace.pause)) from error

    async def _in_turn(self, texts: list[str]) -> list[list[float]]:
        async with self._turns:
            pause = self._pace.backoff
            for attempt in range(1, self._pace.attempts + 1):
                try:
                    return await self._in_parts(texts, again=attempt > 1)
                except _Away as error:
                    if attempt == self._pace.attempts:
                        raise EncoderAway(f"{self._model}: {error}", retry_after=self._pace.longest) from error
                    await asyncio.sleep(min(self._pace.longest, error.after or pause))
                    pause *= 2
        raise AssertionError("the last attempt returns or raises")

    async def _in_parts(self, texts: list[str], *, again: bool) -> list[list[float]]:
        """As many texts at a time as were answered in time before."""
        size, found = min(self._at_a_time, len(texts)), list[list[float]]()
        for start in range(0, len(texts), size):
            began = monotonic()
            try:
                found += await self._fitted(texts[start : start + size], self._pace.passages, again=again)
            except _Slow:
                self._at_a_time = min(self._at_a_time, max(1, size // 2))
                raise
            if monotonic() - began < self._pace.quick:
                self._at_a_time = max(self._at_a_time, min(self._pace.batch, 2 * size))
        return found

    async def _fitted(self, texts: list[str], seconds: float, *, again: bool) -> list[list[float]]:
        """What the engine refuses as a whole is asked in halves, and a single text is cut, as far as that may help."""
        try:
            return await self._asked(texts, seconds)
        except _Refused as refused:
            if refused.may_pass and len(texts) == 1:
                await self._prove_too_long(texts[0], seconds, refused, again=again)
            if len(texts) > 1:
                middle = len(texts) // 2
                first = await self._fitted(texts[:middle], seconds, again=again)
                return first + await self._fitted(texts[middle:], seconds, again=again)
            if len(texts[0]) <= _SHORTEST_LETTERS:
                raise EncoderAway(f"{self._model} refuses to embed: {refused}", retry_after=60) from refused
            return await self._fitted([texts[0][: max(_SHORTEST_LETTERS, len(texts[0]) // 2)]], seconds, again=again)

    async def _prove_too_long(self, text: str, seconds: float, refused: _Refused, *, again: bool) -> None:
        """A fault may have any cause: the text is to blame when it comes `again`, and not for the text's beginning."""
        if not again or len(text) <= _SHORTEST_LETTERS:
            raise _Faulty(str(refused)) from refused
        try:
            await self._asked([text[:_SHORTEST_LETTERS]], seconds)
        except _Refused as error:
            raise _Faulty(str(error)) from error

    async def _asked(self, texts: list[str], seconds: float) -> list[list[float]]:
        body = msgspec.json.encode({"model": self._model, "input": texts, "encoding_format": "float"})
        try:
            async with self._http.post(
                self._url,
                data=body,
                headers=_headers(),
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            kind = _Slow if isinstance(error, TimeoutError) else _Away
            raise kind(f"no answer ({type(error).__name__})") from error
        if response.status in _TOO_MUCH:
            raise _Refused(response.status, raw)
        if response.status != 200:
            after = response.headers.get("Retry-After", "")
            kind = _Slow if response.status == _TOO_LATE else _Away
            raise kind(f"answered {response.status}", float(after) if after.isdecimal() else None)
        return self._read(raw, len(texts))

    def _read(self, raw: bytes, wanted: int) -> list[list[float]]:
        try:
            rows = sorted(msgspec.json.decode(raw, type=_Embedded).data, key=lambda row: row.index)
        except msgspec.MsgspecError as error:
            raise _Away("answered no embeddings") from error
        sizes = {len(row.embedding) for row in rows}
        if len(rows) != wanted or len(sizes) != 1 or 0 in sizes:
            raise _Away(f"answered {len(rows)} embeddings for {wanted} texts")
        return [_unit(row.embedding) for row in rows]


def _prefixed(prefix: str, texts: Sequence[str]) -> list[str]:
    return [f"{prefix} {text}" for text in texts] if prefix else list(texts)


def _unit(vector: list[float]) -> list[float]:
    """Of length 1; zeros where there is no direction."""
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        return [0.0] * len(vector)
    return [value / length for value in vector]


def _headers() -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if (current := logs.request_id.get()) is not None:
        headers[REQUEST_ID_HEADER] = current
    return headers
