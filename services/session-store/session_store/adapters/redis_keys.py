"""What the keys of a session are called on Redis."""

from session_store.domain.records import SessionKey

PARTS = ("meta", "messages", "known", "pending", "waiting", "facts", "relations", "summaries", "memory", "turns")
"""
All there may be of a session. Every script of a session is given all of these keys, in this order: they share a hash
tag, expire together and are deleted together.

`known` is a HASH of the turns in its log, `pending` of those under way, `waiting` of those that wait for one of them;
`turns` is what an earlier version wrote.

`facts`, `relations` and `summaries` are HASHes of a memory's items by id, counted when they are deleted; `memory` is a
HASH of what else a memory keeps.
"""


def part(key: SessionKey, name: str) -> str:
    """Neither an owner nor an id holds `/`, so no two sessions share keys."""
    return f"sage:session:{{{key.owner}/{key.session_id}}}:{name}"


def parts(key: SessionKey) -> tuple[str, ...]:
    return tuple(part(key, name) for name in PARTS)
