"""What an operator may set about the control-plane."""

from typing import Annotated

from msgspec import Meta, Struct

from control_plane.adapters import preset_file
from control_plane.domain import addressing, discoveries
from control_plane.domain.addressing import Policy
from control_plane.domain.discoveries import Address
from control_plane.domain.presets import Preset
from sage_chassis import settings
from sage_chassis.settings import RedisURL, SettingsError
from sage_contracts.errors import InvalidRequest

PREFIX = "SAGE_CONTROL_PLANE_"
PORT = 8014


class Settings(Struct, frozen=True, kw_only=True):
    redis_url: RedisURL = "redis://127.0.0.1:6379/0"
    data_dir: Annotated[str, Meta(min_length=1, description="Logs and pid files of the engines started here.")] = (
        "~/.sage/control-plane"
    )
    node: Annotated[
        str, Meta(description="This control-plane's name among its replicas; empty for the host's name.")
    ] = ""
    policy: Annotated[
        str,
        Meta(
            description="How the gateways choose an engine, as told in the status.",
            extra={"env": "SAGE_CHAT_GATEWAY_POLICY"},
        ),
    ] = "power_of_two"
    probe_seconds: Annotated[float, Meta(gt=0, description="How often each engine is probed.")] = 2.0
    probe_timeout_seconds: Annotated[float, Meta(gt=0, description="How long a probe waits for its answer.")] = 1.0
    start_seconds: Annotated[
        float, Meta(gt=0, description="How long a registered engine may take to answer for the first time.")
    ] = 300.0
    drain_seconds: Annotated[float, Meta(ge=0, description="How long a drain may take unless a request says.")] = 300.0
    drain_grace_seconds: Annotated[
        float, Meta(ge=0, description="How long a drain lasts at least, so that every gateway has heard of it.")
    ] = 3.0
    lease_seconds: Annotated[
        float, Meta(gt=0, description="How long a silent leader stays leader; another takes over then.")
    ] = 3.0
    allow_loopback: Annotated[
        bool, Meta(description="Whether an engine may be on the control-plane's own machine (local mode).")
    ] = True
    allowed_networks: Annotated[
        tuple[str, ...],
        Meta(description="Networks engines may live in beside public addresses, as 10.0.0.0/8; `private` for all."),
    ] = ("private",)
    static_engines: Annotated[
        tuple[str, ...], Meta(description="Base URLs of engines that are registered as soon as they answer.")
    ] = ()
    dns_engines: Annotated[
        tuple[str, ...],
        Meta(description="DNS names with a port, as vllm.svc:8000: each address behind one is an engine."),
    ] = ()
    discover_docker: Annotated[
        bool, Meta(description="Whether running containers with a label `sage.port` are engines, at that port.")
    ] = False
    discover: Annotated[
        bool, Meta(description="Look at start for engines on this machine: ports 11434, 1234, 8080 and 8001.")
    ] = False
    docker_url: Annotated[
        str, Meta(min_length=1, description="Where the Docker engine for presets of kind `docker` listens.")
    ] = "unix:///var/run/docker.sock"
    presets: Annotated[str, Meta(description="A file of presets: the engines that may be started.")] = ""
    engine_host: Annotated[
        str, Meta(min_length=1, description="The address at which engines started here listen and are reached.")
    ] = "127.0.0.1"
    engine_stop_seconds: Annotated[
        float, Meta(ge=0, description="How long an engine may take to end after TERM before it is killed.")
    ] = 5.0
    max_restarts: Annotated[
        int, Meta(ge=0, description="How often in a row an engine that ends by itself is started again.")
    ] = 5
    restart_pause_seconds: Annotated[
        float, Meta(ge=0, description="The pause before the first restart; it doubles with each further one.")
    ] = 1.0
    exit_drain_seconds: Annotated[
        float,
        Meta(ge=0, description="How long engines that end with the control-plane may take to finish their requests."),
    ] = 20.0
    stop_engines_on_exit: Annotated[
        bool,
        Meta(
            description="End the engines started here when the control-plane stops; it starts them again with itself."
        ),
    ] = False


def load() -> Settings:
    """The settings, with everything they name read once: what is wrong in it stops the start. Raises SettingsError."""
    return checked(settings.load(Settings, prefix=PREFIX))


def checked(config: Settings) -> Settings:
    policy(config)
    static(config)
    dns_names(config)
    presets(config)
    return config


def policy(config: Settings) -> Policy:
    try:
        return addressing.policy(allow_loopback=config.allow_loopback, networks=config.allowed_networks)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}ALLOWED_NETWORKS: {error}") from error


def static(config: Settings) -> list[Address]:
    try:
        return discoveries.addresses(config.static_engines)
    except InvalidRequest as error:
        raise SettingsError(f"{PREFIX}STATIC_ENGINES: {error.message}") from error


def dns_names(config: Settings) -> list[Address]:
    try:
        return discoveries.dns_names(config.dns_engines)
    except InvalidRequest as error:
        raise SettingsError(f"{PREFIX}DNS_ENGINES: {error.message}") from error


def presets(config: Settings) -> list[Preset]:
    try:
        return preset_file.read(config.presets)
    except SettingsError as error:
        raise SettingsError(f"{PREFIX}PRESETS: {error}") from error
