"""Which session is meant, and whether one may be called so."""

from sage_contracts import names
from sage_contracts.errors import InvalidRequest
from session_store.domain.records import SessionKey

RESERVED = frozenset({"cleanup"})
"""`/sessions/cleanup` is a route: a session of that name could not be read."""


def key_of(owner: str, session_id: str) -> SessionKey:
    """InvalidRequest when `session_id` may not name a session."""
    if session_id in RESERVED:
        raise InvalidRequest(f"session_id {session_id!r} is reserved", param="session_id")
    return SessionKey(owner, names.session_id(session_id))
