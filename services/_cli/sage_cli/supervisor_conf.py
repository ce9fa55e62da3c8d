"""supervisord's configuration, made from the programs."""

import shlex
from collections.abc import Sequence

from sage_cli.home import Home
from sage_cli.programs import Program

LOG_BYTES = "10MB"
RETRIES = 1_000_000
"""Whatever is killed comes back, however often."""


def rendered(home: Home, programs: Sequence[Program], *, as_root: bool) -> str:
    parts = [_daemon(home, as_root=as_root), *(_program(home, program) for program in programs)]
    return "\n".join(parts)


def _daemon(home: Home, *, as_root: bool) -> str:
    return f"""[supervisord]
logfile={home.log("supervisord")}
logfile_maxbytes={LOG_BYTES}
logfile_backups=1
pidfile={home.run / "supervisord.pid"}
childlogdir={home.logs}
directory={home.run}
silent=true
{"user=root" if as_root else ""}

[unix_http_server]
file={home.socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program(home: Home, program: Program) -> str:
    env = ",".join(f'{name}="{value}"' for name, value in program.env.items())
    return f"""[program:{program.name}]
command={shlex.join(program.command)}
priority={program.order}
environment={env}
autorestart=true
startsecs=1
startretries={RETRIES}
stopsignal={program.stop_signal}
stopwaitsecs={program.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={home.log(program.name)}
stdout_logfile_maxbytes={LOG_BYTES}
stdout_logfile_backups=2
"""
