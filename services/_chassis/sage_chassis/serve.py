"""Run a service's app under Granian until it is told to stop, and let its streams finish first."""

import sys
from collections.abc import Callable

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from sage_chassis.settings import Listen, SettingsError, load

BACKLOG = 4096
BACKPRESSURE = 16_384  # requests at once: streams are long and cheap, and admission is the gateway's own decision


def run(service: str, *, prefix: str, port: int, check: Callable[[], object]) -> None:
    """
    Serve `<service>.app:main` until SIGTERM or SIGINT.

    `check` loads the service's own settings, so that a wrong one stops the start with one sentence and exit status 2
    and not with a worker that dies again and again.
    """
    try:
        listen = load(Listen, prefix=prefix, defaults={"port": port})
        check()
    except SettingsError as error:
        sys.stderr.write(f"{service}: {error}\n")
        sys.exit(2)
    module = service.replace("-", "_")
    Granian(
        f"{module}.app:main",
        address=listen.host,
        port=listen.port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=1,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        respawn_failed_workers=True,
        workers_kill_timeout=max(1, round(listen.stop_seconds)),
        log_level=LogLevels.warning,
        process_name=None,
    ).serve()
