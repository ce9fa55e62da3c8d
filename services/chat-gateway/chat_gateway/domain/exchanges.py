"""One request's bookkeeping: what is measured and what is stored when its answer is over."""

from collections.abc import Callable
from typing import Any

import msgspec

from chat_gateway.domain.ports import Breaker, Meter, Operation, Told
from chat_gateway.domain.quoting import Quoter
from chat_gateway.domain.reading import Reader, Recorder, Skimmer, Transcript
from chat_gateway.domain.turns import Turn
from sage_contracts.chat import Usage

Clock = Callable[[], float]


class Measured:
    """From the request's arrival to the end of its answer."""

    def __init__(self, operation: Operation, model: str, meter: Meter, clock: Clock) -> None:
        self._operation = operation
        self._model = model
        self._meter = meter
        self._clock = clock
        self._began = clock()
        self._first_seconds: float | None = None

    def first_byte(self) -> None:
        self._first_seconds = self._clock() - self._began

    def ended(self, usage: Usage | None) -> None:
        seconds = self._clock() - self._began
        self._meter.answered(Told(self._operation, self._model, seconds, self._first_seconds, usage))

    def interrupted(self, by: Breaker) -> None:
        self._meter.interrupted(by)


class Passing:
    """The ending of an answer that nobody keeps."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self.reader: Reader = Skimmer()

    async def complete(self) -> None:
        self._measured.ended(self.reader.usage())

    def broken(self, by: Breaker) -> None:
        self._measured.interrupted(by)


class Exchange:
    """The ending of an answer that is read: stored in its session, if it has one, before the client sees `[DONE]`."""

    def __init__(self, measured: Measured, meter: Meter, turn: Turn | None, metadata: dict[str, Any]) -> None:
        self._measured = measured
        self._meter = meter
        self._turn = turn
        self._metadata = metadata
        self._quoter: Quoter | None = None
        self.transcript = Transcript()
        self.reader: Reader = Recorder(self.transcript)

    def quote_with(self, quoter: Quoter) -> None:
        self._quoter = self.reader = quoter

    async def complete(self) -> None:
        if self._turn is not None:
            await self._turn.commit(self.transcript, self._told())
        self._measured.ended(self.transcript.usage)
        self._count_dropped()

    def broken(self, by: Breaker) -> None:
        if self._turn is not None:
            cited = self._quoter.annotations if self._quoter is not None else []
            self._turn.abandon(self.transcript, self._told() | ({"annotations": cited} if cited else {}))
        self._measured.interrupted(by)
        self._count_dropped()

    def _told(self) -> dict[str, Any]:
        usage = self.transcript.usage
        told = None if usage is None else msgspec.to_builtins(usage)
        return {**self._metadata, **self.transcript.completion, "usage": told}

    def _count_dropped(self) -> None:
        if self._quoter is not None and self._quoter.dropped:
            self._meter.citations_dropped(self._quoter.dropped)
