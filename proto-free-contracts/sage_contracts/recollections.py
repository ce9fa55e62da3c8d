"""The rag-indexer's part in memory: turns embedded, and found again by meaning, each owner's and session's alone."""

from typing import Annotated

from msgspec import Meta, Struct

from sage_contracts.call import Call


class Recollection(Struct, frozen=True, kw_only=True):
    """`id` is unique in its session; a later one of the same id replaces it. `at` is in seconds since 1970."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    text: Annotated[str, Meta(min_length=1)]
    at: float
    position: int
    """Where in the session's log of messages it stands, so that a branch recalls only what is its own."""


class Remember(Struct, frozen=True, kw_only=True):
    owner: str
    session_id: str
    items: Annotated[list[Recollection], Meta(min_length=1, max_length=500)]


class Stored(Struct, frozen=True, kw_only=True):
    stored: int


RANGES_AT_MOST = 200
_Position = Annotated[int, Meta(ge=0, le=2**53)]


class Recall(Struct, frozen=True, kw_only=True):
    """`within` are ranges of positions, each from its first to before its second; absent, all of the session counts."""

    owner: str
    session_id: str
    query: Annotated[str, Meta(min_length=1, max_length=20_000)]
    top_k: Annotated[int, Meta(ge=1, le=100)] = 20
    within: Annotated[list[tuple[_Position, _Position]], Meta(min_length=1, max_length=RANGES_AT_MOST)] | None = None


class Recalled(Struct, frozen=True, kw_only=True):
    """`score` is the likeness of meaning and words, from 0 to 1."""

    id: str
    text: str
    at: float
    position: int
    score: float


class RecallAnswer(Struct, frozen=True, kw_only=True):
    """Best first."""

    hits: list[Recalled]


class Forget(Struct, frozen=True, kw_only=True):
    """`ids` absent means all of the session but those in `keep`."""

    owner: str
    session_id: str
    ids: list[str] | None = None
    keep: list[str] = []


class Gone(Struct, frozen=True, kw_only=True):
    removed: int


REMEMBER = Call("POST", "/internal/memory", Remember, Stored)
RECALL = Call("POST", "/internal/memory/search", Recall, RecallAnswer)
FORGET = Call("POST", "/internal/memory/delete", Forget, Gone)
