"""What the `sage` command reads from the environment; every other SAGE_ variable is passed on to the services."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sage_chassis import settings
from sage_chassis.settings import HTTP_URL, SettingsError
from sage_cli.failures import WRONG_USE, Failed

PREFIX = "SAGE_GATEWAY_"


class Settings(Struct, frozen=True, kw_only=True):
    host: Annotated[str, Meta(min_length=1, description="The address of the front door.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="The port of the front door.")] = 8000
    workers: Annotated[
        int, Meta(ge=1, le=64, description="How many chat-gateways the local stack runs behind nginx.")
    ] = 1
    log_level: Annotated[
        str,
        Meta(
            pattern="^(?i:debug|info|warning|error)$",
            description="debug, info, warning or error, for all of the local stack; absent: SAGE_LOG_LEVEL.",
        ),
    ] = ""
    home: Annotated[
        str,
        Meta(
            min_length=1,
            description="The folder of the local stack: data, logs, generated configuration.",
            extra={"env": "SAGE_HOME"},
        ),
    ] = "~/.sage"
    demo_engine: Annotated[
        bool,
        Meta(
            description="Whether the local stack may start its own small engine when it finds no other.",
            extra={"env": "SAGE_DEMO_ENGINE"},
        ),
    ] = True
    discover: Annotated[
        bool,
        Meta(
            description="Whether the local stack looks for engines already running on this machine.",
            extra={"env": "SAGE_DISCOVER_ENGINES"},
        ),
    ] = True
    engines: Annotated[
        str,
        Meta(
            description="Base URLs of engines, with commas: the local stack then looks for no other and starts none.",
            extra={"env": "SAGE_CONTROL_PLANE_STATIC_ENGINES"},
        ),
    ] = ""
    upstream_url: Annotated[
        str,
        Meta(
            pattern=HTTP_URL,
            description="An OpenAI-compatible server to use; the local stack then starts no engine.",
            extra={"env": "SAGE_CHAT_BASE_URL"},
        ),
    ] = ""
    redis_fsync: Annotated[
        Literal["everysec", "always"],
        Meta(
            description="When what Redis was told is on its disk: `everysec`, within a second, or `always`, before it"
            " answers; for the local stack and for Compose.",
            extra={"env": "SAGE_REDIS_FSYNC"},
        ),
    ] = "everysec"
    stop_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long streams may go on after the local stack was told to stop.",
            extra={"env": "SAGE_STOP_SECONDS"},
        ),
    ] = 5.0
    start_seconds: Annotated[
        float, Meta(gt=0, description="How long `sage gateway start` waits until everything is healthy.")
    ] = 90.0

    @property
    def folder(self) -> Path:
        return Path(self.home).expanduser().absolute()


def load() -> Settings:
    """The settings; a wrong one is told in one sentence that names the variable."""
    try:
        return settings.load(Settings, prefix=PREFIX)
    except SettingsError as error:
        raise Failed(str(error), exit_code=WRONG_USE) from error
