"""What an id may look like, and the names that several services must spell alike."""

import re

from sage_contracts.errors import InvalidRequest

LOCAL_OWNER = "local"
"""The owner of every session until API keys arrive."""

FLEET_CHANNEL = "sage:fleet"
"""The pub/sub channel of the hint "version N of the fleet is out"; the message is N in decimal."""

LOAD_KEY = "sage:load:"
"""
Prefix of each chat-gateway's count of requests in flight: `sage:load:<gateway>` is a HASH engine_id -> count that
expires within seconds unless it is written again, so that a gateway that dies stops counting.
"""

LOAD_INDEX = "sage:load"
"""
Where those hashes are listed: a ZSET of gateway -> unix seconds of its last write, so that nobody has to SCAN for them.
"""

REQUEST_ID_HEADER = "X-Request-Id"
SESSION_ID_HEADER = "X-Session-Id"
EXPLAIN_HEADER = "X-Sage-Explain"
RECEIPT_HEADER = "X-Sage-Receipt"
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
"""`true` on an answer that was given before, and is told again."""

BRANCH_HEADER = "X-Sage-Branch"
"""The branch of its session that a chat's turn belongs to, where it is not `main`."""

MEMORY_HEADER = "X-Sage-Memory"
"""`off` on an answer that was given without its session, because the session-store is away."""

SHOULD_RETRY_HEADER = "x-should-retry"

MAIN_BRANCH = "main"
"""The branch that a session begins with."""

DOCS_COLLECTION = "docs"
"""The collection meant where none is named."""

DEFAULT_MODEL = "sage-default"
"""The built-in assistant, used when a chat names no model."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_COLLECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_:.-]{1,128}", re.ASCII)


def is_id(text: str) -> bool:
    """Letters, digits and `-_.:`, at most 128, and neither `.` nor `..`: safe in a path and in a key."""
    return _ID.fullmatch(text) is not None and text not in {".", ".."}


def session_id(text: str) -> str:
    """`text` itself when it may name a session; else InvalidRequest."""
    return _checked(text, "session_id")


def engine_id(text: str) -> str:
    """`text` itself when it may name an engine; else InvalidRequest."""
    return _checked(text, "engine_id")


def branch(text: str, field: str = "branch") -> str:
    """`text` itself when it may name a branch; else InvalidRequest that blames `field`."""
    return _checked(text, field)


def is_collection(text: str) -> bool:
    """1 to 64 letters, digits or any of `-_`, the first no mark."""
    return _COLLECTION.fullmatch(text) is not None


def collection(text: str) -> str:
    """`text` itself when it may name a collection: it becomes a folder's name and a server's; else InvalidRequest."""
    if not is_collection(text):
        raise InvalidRequest(
            "collection must be 1 to 64 letters, digits or any of - _, and begin with no mark", param="collection"
        )
    return text


def idempotency_key(text: str) -> str:
    """`text` itself when it may be an Idempotency-Key: 1 to 255 visible ASCII characters; else InvalidRequest."""
    if _KEY.fullmatch(text) is None:
        raise InvalidRequest(f"{IDEMPOTENCY_KEY_HEADER} must be 1 to 255 visible ASCII characters")
    return text


def _checked(text: str, param: str) -> str:
    if not is_id(text):
        raise InvalidRequest(f"{param} must be 1 to 128 letters, digits or any of - _ . :", param=param)
    return text
