"""Prometheus metrics: one registry per app, and what every HTTP service counts."""

from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

HTTP_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class HTTPMetrics:
    """Requests by route template, never by path: a path holds ids, and an id must not become a label."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        self.registry = registry
        self._requests = Counter(
            "sage_http_requests_total",
            "Requests answered.",
            ("service", "method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "sage_http_request_duration_seconds",
            "From the request's arrival to the last byte of its answer.",
            ("service", "method", "route"),
            buckets=HTTP_SECONDS,
            registry=registry,
        )
        self._open = Gauge("sage_http_requests_in_flight", "Requests being answered.", ("service",), registry=registry)
        self._service = service

    def began(self) -> None:
        self._open.labels(self._service).inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} else "other"
        self._open.labels(self._service).dec()
        self._requests.labels(self._service, known, route, str(status)).inc()
        self._seconds.labels(self._service, known, route).observe(seconds)


@get("/metrics", include_in_schema=False)
async def read_metrics(http_metrics: NamedDependency[HTTPMetrics]) -> Response[bytes]:
    return Response(generate_latest(http_metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})
