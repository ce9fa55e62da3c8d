"""What a .proto `rpc` line would say, as a Python value."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res", bound=Struct)


class Empty(Struct, frozen=True):
    """No body."""


class Opaque(Struct, frozen=True):
    """A body whose fields belong to somebody else (OpenAI, the engine): it is passed on as bytes."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Req, Res]):
    """
    One endpoint. The server's route and the client's request are both made from it, so they cannot drift.

    A GET or DELETE carries its request in the query string; every other method carries it as a JSON body, and what
    `query` describes in the query string.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    request: type[Req]
    response: type[Res]
    status: int = 200
    query: type[Struct] = Empty
    ends_in_path: bool = False
    """Whether the path's last part may hold slashes, escaped or not."""

    @property
    def route(self) -> str:
        """The path as Litestar writes it: `{id}` becomes `{id:str}`, or `{id:path}` where it may hold slashes."""
        route = self.path.replace("}", ":str}")
        return route.removesuffix(":str}") + ":path}" if self.ends_in_path else route

    @property
    def has_body(self) -> bool:
        return self.method not in {"GET", "DELETE"} and self.request is not Empty

    def url(self, query: Struct | None = None, **parts: str) -> str:
        """The path with its parts filled in and escaped, and `query`'s non-null fields behind it."""
        path = self.path.format_map({name: quote(value, safe="") for name, value in parts.items()})
        pairs = {} if query is None else msgspec.to_builtins(query)
        told = {name: _as_text(value) for name, value in pairs.items() if value is not None}
        return f"{path}?{urlencode(told)}" if told else path


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
