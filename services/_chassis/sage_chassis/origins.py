"""Pages of other sites may not speak to a service through the browser of somebody who can reach it."""

from typing import Any
from urllib.parse import urlsplit

from litestar import Request

from sage_contracts.errors import ForeignOrigin


async def refuse_foreign(request: Request[Any, Any, Any]) -> None:
    """
    Raises ForeignOrigin when a browser says that another site's page asks.

    A browser sends `Origin` with everything that could change something; other clients send none. Without this, any
    page a user has open could register an engine or delete sessions of a gateway on loopback, which asks for no key.
    """
    origin = request.headers.get("Origin")
    if origin is not None and not is_own(origin, request.headers.get("Host", "")):
        raise ForeignOrigin(f"a page of {origin[:200]!r} may not use this address")


def is_own(origin: str, host: str) -> bool:
    """Whether `origin` is the address that was asked, `host`."""
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
