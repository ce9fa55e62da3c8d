"""What the session-store counts."""

from prometheus_client import CollectorRegistry, Counter

from session_store.domain.ports import MemoryWork, WorkOutcome
from session_store.domain.records import Outcome, RemovalReason


class Metrics:
    """Implements Tally on Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._turns = Counter(
            "sage_session_store_turns_total",
            "Turns, by what became of them: opened, replayed, stored, repeated, lost, abandoned, refused, unavailable.",
            ("outcome",),
            registry=registry,
        )
        self._context = Counter(
            "sage_session_store_context_messages_total",
            "Messages of the conversations that were asked for: kept for the engine, or dropped for want of room.",
            ("outcome",),
            registry=registry,
        )
        self._removed = Counter(
            "sage_session_store_sessions_removed_total",
            "Sessions removed: deleted by name, idle when cleaned up, or expired and found so.",
            ("reason",),
            registry=registry,
        )

        self._memory = Counter(
            "sage_session_store_memory_work_total",
            "What memories did beside the turns: remember, recall, summarise, extract; done, failed or dropped.",
            ("work", "outcome"),
            registry=registry,
        )

    def turn(self, outcome: Outcome) -> None:
        self._turns.labels(outcome).inc()

    def context(self, *, kept: int, dropped: int) -> None:
        self._context.labels("kept").inc(kept)
        self._context.labels("dropped").inc(dropped)

    def removed(self, reason: RemovalReason, count: int = 1) -> None:
        self._removed.labels(reason).inc(count)

    def memory(self, work: MemoryWork, outcome: WorkOutcome) -> None:
        self._memory.labels(work, outcome).inc()
