"""What chat-gateway measures: answers as OpenTelemetry names them, and its own attempts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chat_gateway.domain.ports import Breaker, Meter, Operation, Outcome, Told, TurnEnd
from sage_contracts.chat import Usage

DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)
FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
TOKENS = tuple(4**power for power in range(14))

_LABELS = ("gen_ai_operation_name", "gen_ai_request_model")


class GatewayMetrics(Meter):
    """Labels come from closed sets: a model is named only where the fleet knows it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = _histogram(registry, "gen_ai_server_request_duration_seconds", "Whole answers.", DURATION)
        self._first = _histogram(
            registry, "gen_ai_server_time_to_first_token_seconds", "Until the first piece of a stream.", FIRST_TOKEN
        )
        self._per_token = _histogram(
            registry, "gen_ai_server_time_per_output_token_seconds", "Between tokens after the first.", PER_TOKEN
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of an answer, where the engine told them.",
            (*_LABELS, "gen_ai_token_type"),
            buckets=TOKENS,
            registry=registry,
        )
        self._attempts = Counter(
            "sage_chat_gateway_engine_attempts_total",
            "Requests sent to engines, by what came of them.",
            ("outcome",),
            registry=registry,
        )
        self._waiting = Gauge(
            "sage_chat_gateway_waiting_requests",
            "Requests that wait because every engine of their model is at its limit.",
            ("gen_ai_request_model",),
            registry=registry,
        )
        self._interrupted = Counter(
            "sage_chat_gateway_streams_interrupted_total",
            "Streams that ended without [DONE], by who ended them.",
            ("by",),
            registry=registry,
        )
        self._dropped = Counter(
            "sage_chat_gateway_citations_dropped_total",
            "Citations of a source that was not given.",
            registry=registry,
        )
        self._turns = Counter(
            "sage_chat_gateway_turns_total",
            "Turns of sessions, by how they ended.",
            ("end",),
            registry=registry,
        )

    def attempted(self, outcome: Outcome) -> None:
        self._attempts.labels(outcome).inc()

    def waiting(self, model: str, change: int) -> None:
        self._waiting.labels(model).inc(change)

    def answered(self, told: Told) -> None:
        labels = (told.operation, told.model)
        self._duration.labels(*labels).observe(told.seconds)
        if told.first_seconds is not None:
            self._first.labels(*labels).observe(told.first_seconds)
        if told.usage is not None:
            self._count_tokens(told.operation, told.model, told.usage)
            if told.first_seconds is not None and told.usage.completion_tokens > 1:
                seconds = (told.seconds - told.first_seconds) / (told.usage.completion_tokens - 1)
                self._per_token.labels(*labels).observe(seconds)

    def interrupted(self, by: Breaker) -> None:
        self._interrupted.labels(by).inc()

    def citations_dropped(self, count: int) -> None:
        self._dropped.inc(count)

    def turn(self, end: TurnEnd) -> None:
        self._turns.labels(end).inc()

    def _count_tokens(self, operation: Operation, model: str, usage: Usage) -> None:
        self._tokens.labels(operation, model, "input").observe(usage.prompt_tokens)
        if usage.completion_tokens:
            self._tokens.labels(operation, model, "output").observe(usage.completion_tokens)


def _histogram(registry: CollectorRegistry, name: str, told: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, told, _LABELS, buckets=buckets, registry=registry)
