"""The OpenAPI document of the management API: every route, with examples that are true."""

from typing import Any

import msgspec
import pytest

from sage_contracts import management as wire
from sage_contracts.call import Call
from sage_contracts.errors import ErrorBody
from tests.architecture.test_contracts import app_of

CALLS = {name: call for name, call in vars(wire).items() if isinstance(call, Call)}
SCHEMA: dict[str, Any] = app_of("control-plane").openapi_schema.to_schema()


def shown(documented: dict[str, Any]) -> Any:
    (media,) = documented["content"].values()
    return media["example"]


@pytest.mark.parametrize("name", CALLS)
def test_every_management_route_shows_what_it_answers(name: str) -> None:
    call = CALLS[name]
    operation = SCHEMA["paths"][call.path][call.method.lower()]

    msgspec.convert(shown(operation["responses"][str(call.status)]), call.response, strict=True)


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.has_body])
def test_every_route_that_takes_a_body_shows_one(name: str) -> None:
    call = CALLS[name]
    operation = SCHEMA["paths"][call.path][call.method.lower()]

    msgspec.convert(shown(operation["requestBody"]), call.request, strict=True)


@pytest.mark.parametrize("name", CALLS)
def test_every_management_route_shows_how_it_refuses(name: str) -> None:
    call = CALLS[name]
    responses = SCHEMA["paths"][call.path][call.method.lower()]["responses"]

    assert responses.keys() == {str(call.status), "default"}
    assert msgspec.convert(shown(responses["default"]), ErrorBody, strict=True).error.code == "engine_not_found"
