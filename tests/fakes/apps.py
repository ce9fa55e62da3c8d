"""A service's app, built once and started often: to build one takes 25 ms, and thousands of tests want one."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol

from litestar import Litestar
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from tests.fakes.cluster import serve

Assemble = Callable[[CollectorRegistry], AbstractAsyncContextManager[Any]]
"""A service's parts, given the registry that their metrics belong to."""


class CreateApp(Protocol):
    def __call__(self, parts: AbstractAsyncContextManager[Any], registry: CollectorRegistry, /) -> Litestar: ...


class _Registry(CollectorRegistry):
    """One that can be made as it was right after the app was built."""

    def __init__(self) -> None:
        super().__init__()
        self._collectors: list[Collector] = []
        self._of_app = 0

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self._collectors.append(collector)

    def keep(self) -> None:
        """What there is now belongs to the app."""
        self._of_app = len(self._collectors)

    def empty(self) -> None:
        for collector in self._collectors[self._of_app :]:
            self.unregister(collector)
        del self._collectors[self._of_app :]
        for collector in self._collectors:
            if isinstance(collector, MetricWrapperBase):
                collector.clear()


class _Parts:
    """The parts of whoever has the app now."""

    def __init__(self) -> None:
        self.now: AbstractAsyncContextManager[Any] | None = None

    async def __aenter__(self) -> Any:
        assert self.now is not None
        return await self.now.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self.now is not None
        return await self.now.__aexit__(kind, error, trace)


class _App:
    def __init__(self, create_app: CreateApp) -> None:
        self.parts = _Parts()
        self.registry = _Registry()
        self.litestar = create_app(self.parts, self.registry)
        self.registry.keep()


_idle: defaultdict[CreateApp, list[_App]] = defaultdict(list)


@asynccontextmanager
async def served(create_app: CreateApp, assemble: Assemble, port: int | None = None) -> AsyncGenerator[str]:
    """
    An app of `create_app` on a socket, with the parts that `assemble` gives; yields its base URL.

    Nobody else has it meanwhile. One whose test has failed is not used again.
    """
    idle = _idle[create_app]
    app = idle.pop() if idle else _App(create_app)
    app.parts.now = assemble(app.registry)
    async with serve(app.litestar, port) as url:
        yield url
    app.registry.empty()
    idle.append(app)
