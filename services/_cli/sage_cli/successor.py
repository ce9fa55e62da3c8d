"""
Runs nginx in the place of one that was killed: `python -m sage_cli.successor PIDFILE COMMAND…`.

The workers of a killed master live on and keep the port. They are told to finish what they have begun and to go.
"""

import os
import signal
import sys
from pathlib import Path

import psutil


def retire(pid_file: Path) -> None:
    """End the orphans of the master that `pid_file` names, if they are of this very stack."""
    try:
        master = int(pid_file.read_text())
    except (OSError, ValueError):
        return
    for process in psutil.process_iter():
        try:
            # The group is the dead master's, and the session is our supervisord's: no other process has both.
            if os.getpgid(process.pid) == master and os.getsid(process.pid) == os.getsid(0):
                os.kill(process.pid, signal.SIGQUIT)
        except OSError:
            continue
    pid_file.unlink(missing_ok=True)


def main() -> None:
    pid_file, *command = sys.argv[1:]
    retire(Path(pid_file))
    os.execv(command[0], command)  # noqa: S606 - the command is the stack's own


if __name__ == "__main__":
    main()
