"""What every service tells about itself, and the gateway about all of them."""

from typing import Literal

from msgspec import Struct

from sage_contracts.call import Call, Empty


class Alive(Struct, frozen=True, kw_only=True):
    service: str
    version: str
    status: Literal["alive"] = "alive"


class Check(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a service needs; `detail` says what is wrong with it, or what an operator should know."""

    ok: bool
    detail: str | None = None


ReadinessStatus = Literal["ready", "degraded", "not_ready"]


class Readiness(Struct, frozen=True, kw_only=True):
    service: str
    version: str
    status: ReadinessStatus
    checks: dict[str, Check]


class Info(Struct, frozen=True, kw_only=True):
    service: str
    version: str
    endpoints: dict[str, str]


class SessionTotals(Struct, frozen=True, kw_only=True):
    total_sessions: int
    total_messages: int


class ServiceHealth(Struct, frozen=True, kw_only=True, omit_defaults=True):
    status: Literal["healthy", "degraded", "unavailable"]
    detail: str | None = None


class Health(Struct, frozen=True, kw_only=True):
    status: Literal["healthy", "degraded", "unavailable"]
    sessions: SessionTotals
    services: dict[str, ServiceHealth]


LIVEZ = Call("GET", "/livez", Empty, Alive)
READYZ = Call("GET", "/readyz", Empty, Readiness)
INFO = Call("GET", "/", Empty, Info)
HEALTH = Call("GET", "/health", Empty, Health)
