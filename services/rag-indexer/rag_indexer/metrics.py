"""What the rag-indexer counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rag_indexer.domain.ports import BuildOutcome, SearchOutcome

SEARCH_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024)


class IndexMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._searches = Counter(
            "sage_rag_indexer_searches_total",
            "Searches, by what came of them: evidence, no_evidence or no_index.",
            ("outcome",),
            registry=registry,
        )
        self._search_seconds = Histogram(
            "sage_rag_indexer_search_duration_seconds",
            "From the query's text to the passages.",
            buckets=SEARCH_SECONDS,
            registry=registry,
        )
        self._builds = Counter(
            "sage_rag_indexer_builds_total",
            "Builds ended: built, updated, already_exists, failed or cancelled.",
            ("outcome",),
            registry=registry,
        )
        self._build_seconds = Gauge(
            "sage_rag_indexer_last_build_duration_seconds", "How long the last build took.", registry=registry
        )
        self._passages = Gauge("sage_rag_indexer_passages_count", "Passages in the served index.", registry=registry)

    def searched(self, outcome: SearchOutcome, seconds: float) -> None:
        self._searches.labels(outcome).inc()
        self._search_seconds.observe(seconds)

    def built(self, outcome: BuildOutcome, seconds: float) -> None:
        self._builds.labels(outcome).inc()
        self._build_seconds.set(seconds)

    def serving(self, chunks: int) -> None:
        self._passages.set(chunks)
