"""Build a service's Litestar app: its routes and parts, and what every service has."""

import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from prometheus_client import CollectorRegistry

from sage_chassis import errors, health, metrics, origins, owners, parents
from sage_chassis.bodies import MAX_BODY_BYTES, StrictRequest
from sage_chassis.health import Health
from sage_chassis.requests import observed


class Parts(Protocol):
    """A frozen dataclass of a service's domain objects. Each field is injected into routes under its own name."""

    @property
    def health(self) -> Health: ...


P = TypeVar("P", bound=Parts)


def build(
    service: str,
    *,
    routes: Sequence[BaseRouteHandler],
    parts: AbstractAsyncContextManager[P],
    kind: type[P],
    registry: CollectorRegistry,
    owner: Callable[[StrictRequest], str] = owners.owner_of,
) -> Litestar:
    """
    The app of `service`: `parts` is entered when it starts and left when it stops.

    Tests hand in parts of their own with `contextlib.nullcontext`. Routes are given the `owner` they act for.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        parents.end_with_parent()
        async with parts as app.state.parts:
            yield

    http_metrics = metrics.HTTPMetrics(registry, service)
    provided: dict[str, Provide] = {
        field.name: Provide(_part(field.name), sync_to_thread=False)
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]  # a Protocol cannot say "dataclass"
    }
    provided["http_metrics"] = Provide(lambda: http_metrics, sync_to_thread=False)
    provided["owner"] = Provide(_owner_by(owner), sync_to_thread=False)
    app = Litestar(
        route_handlers=[*routes, health.livez, health.readyz, metrics.read_metrics],
        dependencies=provided,
        before_request=origins.refuse_foreign,
        exception_handlers=errors.HANDLERS,
        lifespan=[lifespan],
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=OpenAPIConfig(
            title=f"SAGE {service}", version=health.version_of(service), render_plugins=[JsonRenderPlugin()]
        ),
        logging_config=None,
    )
    app.asgi_handler = observed(app.asgi_handler, http_metrics)
    return app


def _owner_by(resolve: Callable[[StrictRequest], str]) -> Callable[..., str]:
    def provide(request: StrictRequest) -> str:
        return resolve(request)

    return provide


def _part(name: str) -> Callable[..., Any]:
    """
    It waits for the owner without a need of it: what does not depend on one another Litestar provides in tasks of their
    own, which costs a request more than all else that the chassis does.
    """

    def provide(state: State, owner: NamedDependency[str]) -> Any:
        del owner
        return getattr(state.parts, name)

    return provide
