"""The fleet as chat-gateway needs it: which engine serves what, where, and whether it may be chosen."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sage_contracts.call import Call, Empty

State = Literal["STARTING", "READY", "DRAINING", "STOPPED", "ERROR"]
EngineKind = Literal["llm", "embedding"]


class FleetEngine(Struct, frozen=True, kw_only=True):
    """`base_url` has no path: `http://host:port`. `context_tokens` is the engine's window, where it told it."""

    engine_id: str
    model_id: str
    base_url: str
    state: State
    engine_kind: EngineKind = "llm"
    max_concurrent_requests: int = 256
    context_tokens: int | None = None
    created: int = 0
    """Unix seconds when it was registered."""
    aliases: tuple[str, ...] = ()
    """Further names its model may be asked for by. Engines of different models may share one."""
    weight: Annotated[float, Meta(gt=0)] = 1.0
    """Its share of the work where the gateway's policy is `weighted`."""


class Fleet(Struct, frozen=True, kw_only=True):
    """One snapshot. A larger `version` is newer."""

    version: int
    engines: list[FleetEngine]


FLEET = Call("GET", "/internal/fleet", Empty, Fleet)
