"""Why a turn is not opened, or not stored, as its gateway is told."""

from sage_contracts.errors import (
    BranchNotFound,
    Conflict,
    IdempotencyKeyReused,
    SageError,
    SessionBusy,
    TurnLost,
)
from session_store.domain.openings import BRANCHES_AT_MOST, Busy, Opening, Refused
from session_store.domain.views import time_of


def busy(found: Busy) -> SessionBusy:
    if not found.turn_id:
        return SessionBusy(f"{found.ahead} turns wait for this session before this one", retry_after=1)
    since = time_of(found.since_us).isoformat()
    return SessionBusy(f"turn {found.turn_id!r} has been under way since {since}", retry_after=1)


def refused(found: Refused, opening: Opening) -> SageError:
    match found.why:
        case "reused":
            return IdempotencyKeyReused("this key was used for another request: a key names one request for good")
        case "no_branch":
            return BranchNotFound(f"the session has no branch {opening.branch!r}", param="branch")
        case "too_many":
            return Conflict(f"a session has at most {BRANCHES_AT_MOST} branches")
        case "cleared":
            return Conflict("this turn was answered before, and its session has been cleared since")
        case "moved":
            return Conflict("this turn was cut short before, and its session has gone on without it")


def lost() -> TurnLost:
    return TurnLost("the session has gone on without this turn: it is not stored")
