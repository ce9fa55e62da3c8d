"""Bodies and query strings read strictly: what cannot be passed on safely is a 400, never a crash."""

from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.types import Empty
from msgspec import Struct

from sage_contracts.errors import InvalidRequest

MAX_BODY_BYTES = 20 * 1024 * 1024

T = TypeVar("T", bound=Struct)


def decode(body: bytes) -> object:
    """
    The whole JSON text as Python values.

    Raises InvalidRequest for everything a strict reader refuses: bad UTF-8, lone surrogates, NaN, numbers out of
    range, nesting too deep, trailing text.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("the body is not valid JSON: it is nested too deeply") from error


def decode_object(body: bytes) -> dict[str, Any]:
    """As `decode`, and the body must be a JSON object."""
    value = decode(body)
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    return value


def convert(value: object, kind: type[T], *, strict: bool = True) -> T:
    """`value` as a `kind`; raises InvalidRequest that names the field. Not `strict`, "5" may stand for 5."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or None
        raise InvalidRequest(f"{field}: {message}" if field else message, param=field) from error


def query(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The query string as a `kind`: an empty parameter counts as absent, an unknown one is ignored, the last wins."""
    last = {name: values[-1] for name, values in request.query_params.dict().items()}
    return convert({name: value for name, value in last.items() if value != ""}, kind, strict=False)


class StrictRequest(Request[Any, Any, Any]):
    """Litestar's request, with `decode` as its JSON reader."""

    async def json(self) -> Any:
        if self._json is Empty:
            self._json = decode(await self.body())
        return self._json
