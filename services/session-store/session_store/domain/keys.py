"""Which session is meant, and whether one may be called so."""

from sage_contracts import names
from sage_contracts.errors import InvalidRequest, SessionNotFound
from session_store.domain.records import SessionKey

RESERVED = frozenset({"cleanup", "import"})
"""`/sessions/cleanup` and the like are routes: a session of such a name could not be read."""


def key_of(owner: str, session_id: str) -> SessionKey:
    """InvalidRequest when `session_id` may not name a session."""
    if session_id in RESERVED:
        raise InvalidRequest(f"session_id {session_id!r} is reserved", param="session_id")
    return SessionKey(owner, names.session_id(session_id))


def missing(session_id: str) -> SessionNotFound:
    return SessionNotFound(f"session {session_id!r} does not exist", param="session_id")
