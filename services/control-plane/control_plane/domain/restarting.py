"""What to do about a process that ended by itself."""

from dataclasses import dataclass

from msgspec import structs

from control_plane.domain.records import Launch

CALM_SECONDS = 60.0
"""A process that lived this long starts with a clean slate: its next crash is its first."""

LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    max_restarts: int = 5
    pause_seconds: float = 1.0


def after_crash(launch: Launch, *, now: float, patience: Patience) -> Launch:
    """`launch` without its process: started again after a pause that doubles each time, or given up."""
    calm = launch.started_at > 0 and now - launch.started_at >= CALM_SECONDS
    crashes = 1 if calm else launch.restarts + 1
    if crashes > patience.max_restarts:
        return structs.replace(launch, pid=None, gave_up=True)
    pause = min(patience.pause_seconds * 2 ** (crashes - 1), LONGEST_PAUSE_SECONDS)
    return structs.replace(launch, pid=None, restarts=crashes, restart_at=now + pause)
