"""Every Call of the contracts is served by exactly one service, with its types; nothing else is served."""

from contextlib import nullcontext
from importlib import import_module
from typing import Any

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response
from prometheus_client import CollectorRegistry

from sage_contracts import (
    chat,
    fleet,
    index,
    management,
    memory,
    recollections,
    service,
    sessions,
    turns,
    uploads,
    vector_stores,
)
from sage_contracts.call import Call, Empty, Opaque
from tests.architecture.tree import SERVICE_FOLDERS

OWN: dict[str, list[Any]] = {
    "chat-gateway": [chat, service],
    "session-store": [sessions, turns, memory],
    "rag-indexer": [index, recollections, uploads, vector_stores],
    "control-plane": [management, fleet],
}
"""Which contracts each service serves."""

EVERYWHERE = {service.LIVEZ, service.READYZ}
CHASSIS_ROUTES = {("GET", "/metrics"), ("GET", "/livez"), ("GET", "/readyz")}
Served = dict[tuple[str, str], HTTPRouteHandler]


def app_of(folder: str) -> Litestar:
    """The service's app with no parts: its routes are only looked at."""
    module = import_module(f"{folder.replace('-', '_')}.app")
    app = module.create_app(nullcontext(), CollectorRegistry())
    assert isinstance(app, Litestar)
    return app


def served(app: Litestar) -> Served:
    found: Served = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            for method in handler.http_methods - {"OPTIONS"}:
                if not route.path.startswith("/schema"):
                    found[(str(method), route.path)] = handler
    return found


def calls(folder: str) -> dict[tuple[str, str], Call[Any, Any]]:
    return {
        (call.method, call.route): call
        for module in OWN[folder]
        for call in vars(module).values()
        if isinstance(call, Call)
    }


FOLDERS = [path.name for path in SERVICE_FOLDERS]


def test_every_service_has_contracts() -> None:
    assert set(FOLDERS) == OWN.keys()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_service_serves_its_calls_and_nothing_else(folder: str) -> None:
    assert served(app_of(folder)).keys() == calls(folder).keys() | CHASSIS_ROUTES


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_call_is_served_with_its_types_and_status(folder: str) -> None:
    handlers = served(app_of(folder))
    for key, call in calls(folder).items():
        if call in EVERYWHERE:
            continue
        handler = handlers[key]
        signature = handler.parsed_fn_signature
        answer = signature.return_type
        if call.response is not Opaque:
            told = answer.inner_types[0].annotation if answer.is_subclass_of(Response) else answer.annotation
            assert told is call.response, f"{key} answers {told}"
        if call.has_body and call.request is not Opaque:
            data = signature.parameters["data"].annotation
            assert call.request in {data, *getattr(data, "__args__", ())}, f"{key} reads {data}"
        if call.request is Empty:
            assert "data" not in signature.parameters, f"{key} reads a body"
        assert call.response is Opaque or handler.status_code == call.status, f"{key} answers {handler.status_code}"


def test_no_two_services_serve_one_route() -> None:
    keys = [key for folder in FOLDERS for key in calls(folder)]

    assert len(keys) == len(set(keys))
