"""What the user is told in one sentence instead of a traceback."""

from dataclasses import dataclass, field

WRONG_USE = 2
NOT_RUNNING = 3
"""No gateway answers, or none runs: as `systemctl status` and its like have it."""

INTERRUPTED = 130


@dataclass
class Failed(Exception):
    """The command could not do what was asked; `log` holds the last lines of the log that may say why."""

    message: str
    log: list[str] = field(default_factory=list)
    log_name: str = ""
    exit_code: int = 1

    def __str__(self) -> str:
        return self.message


class MissingBinary(Failed):
    """Something the stack is made of is not installed."""
