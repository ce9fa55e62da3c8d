"""The wait until engines have finished what they do."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from control_plane.domain.ports import Load
from sage_contracts.errors import StoreUnavailable

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Farewell:
    """At least `grace_seconds`, so that every gateway has heard and told of it; at most `most_seconds`."""

    grace_seconds: float = 0.0
    most_seconds: float = 0.0


async def quiet(load: Load, engine_ids: Collection[str], farewell: Farewell) -> None:
    """Return when no gateway has a request at any of them, or the time is over. Without Redis nobody knows: at once."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        while engine_ids and loop.time() < begun + farewell.most_seconds:
            active = await load.active()
            if loop.time() >= begun + farewell.grace_seconds and not any(active.get(name) for name in engine_ids):
                return
            await asyncio.sleep(LOOK_SECONDS)
    except StoreUnavailable:
        return
