"""The life of an engine: which event leads from which state to which."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from sage_contracts.fleet import State

MISSES_TO_ERROR = 3


class Event(Enum):
    ANSWERED = auto()
    """A probe was answered."""
    MISSED = auto()
    """A probe was not answered."""
    OVERDUE = auto()
    """The time an engine is given to answer for the first time is over."""
    DRAIN = auto()
    """An operator wants it to take no new work and to finish what it has."""
    RESUME = auto()
    """An operator wants a draining engine back."""
    EMPTIED = auto()
    """A draining engine has nothing left to do, or no time left to do it."""
    STOP = auto()
    """An operator wants it gone now."""
    CRASHED = auto()
    """The process behind it ended and will be started again."""
    GAVE_UP = auto()
    """The process behind it ended too often."""


@dataclass(frozen=True, slots=True)
class Life:
    """A state, and how many probes in a row have been missed."""

    state: State
    misses: int = 0


def step(life: Life, event: Event) -> Life:
    """
    What `event` makes of `life`. An event that means nothing in a state changes nothing.

    Nothing leads out of STOPPED: an engine that comes back is a new one. A probe decides between READY and ERROR alone,
    never over a drain: an engine on its way out stays there whether or not it answers. RESUME leads to STARTING:
    only an answer shows that the engine can take work.
    """
    if life.state == "STOPPED":
        return life
    match event:
        case Event.ANSWERED:
            return Life("DRAINING" if life.state == "DRAINING" else "READY")
        case Event.MISSED:
            return _missed(life)
        case _:
            state = _LEADS[event].get(life.state)
            return life if state is None else Life(state)


def _missed(life: Life) -> Life:
    misses = life.misses + 1
    failed = life.state == "READY" and misses >= MISSES_TO_ERROR
    return Life("ERROR" if failed else life.state, misses)


_ALIVE: tuple[State, ...] = ("STARTING", "READY", "DRAINING", "ERROR")

_LEADS: Mapping[Event, Mapping[State, State]] = {
    Event.OVERDUE: {"STARTING": "ERROR"},
    Event.DRAIN: {"STARTING": "DRAINING", "READY": "DRAINING", "ERROR": "DRAINING"},
    Event.RESUME: {"DRAINING": "STARTING"},
    Event.EMPTIED: {"DRAINING": "STOPPED"},
    Event.STOP: dict.fromkeys(_ALIVE, "STOPPED"),
    Event.CRASHED: {"STARTING": "STARTING", "READY": "STARTING", "ERROR": "STARTING", "DRAINING": "STOPPED"},
    Event.GAVE_UP: {"STARTING": "ERROR", "READY": "ERROR", "ERROR": "ERROR", "DRAINING": "STOPPED"},
}
