"""Where the local stack keeps what: the one place that knows the layout of SAGE_HOME."""

import fcntl
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from sage_cli.failures import Failed

SOCKET_BYTES = 90
"""A socket's path may have 107 bytes, and supervisord makes its own under a name some digits longer first."""

_UNFIT = re.compile(r"[\x00-\x1f\"'\\$%;#{}]")
"""What nginx, Valkey or supervisord would read as more than a path."""


class Kept(Struct, frozen=True, kw_only=True):
    """What one start leaves to the next, and to every other command. Holds a password: only its owner may read it."""

    host: str
    port: int
    password: str
    ports: dict[str, int]
    session: int | None = None
    """The session id of the supervisord last started: all it starts is in that session."""
    engine: str = ""
    """Which engine answers, in words."""
    models: tuple[str, ...] = ()
    """What it serves, as far as a start waits for it."""

    @property
    def url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host and host[0] != "[" else f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Home:
    root: Path

    def make(self) -> None:
        """Every folder, for its owner alone. Fails in a sentence where that cannot be."""
        if match := _UNFIT.search(str(self.root)):
            raise Failed(f"SAGE_HOME may not contain {match.group()!r}: {self.root}")
        folders = [self.root, self.config, self.logs, self.run, self.nginx, self.valkey, self.socket.parent]
        try:
            for folder in folders:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Failed(f"the folder {error.filename} cannot be made: {error.strerror}; set SAGE_HOME") from error
        if self.socket.parent.stat().st_uid != os.getuid():
            raise Failed(f"the folder {self.socket.parent} belongs to somebody else; set SAGE_HOME to a shorter path")

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def nginx(self) -> Path:
        """Nginx's prefix: its pid file and what it buffers on disk."""
        return self.run / "nginx"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def socket(self) -> Path:
        """Supervisord's. In the temporary folder where SAGE_HOME is too deep for a socket's path."""
        wanted = self.run / "supervisor.sock"
        if len(os.fsencode(wanted)) <= SOCKET_BYTES:
            return wanted
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"sage-{os.getuid()}-{digest}" / "supervisor.sock"

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def kept(self) -> Kept | None:
        try:
            return msgspec.json.decode((self.root / "stack.json").read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError):
            return None

    def keep(self, kept: Kept) -> None:
        self.write(self.root / "stack.json", msgspec.json.format(msgspec.json.encode(kept), indent=2))

    @contextmanager
    def locked(self) -> Generator[None]:
        """One command at a time may start or stop."""
        self.make()
        with (self.run / "lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Failed(f"another `sage gateway` command is at work in {self.root}: let it finish") from error
            yield

    def write(self, path: Path, content: bytes) -> None:
        """Whole or not at all, and for its owner's eyes alone from the first byte."""
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        fresh.replace(path)


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log; nothing where there is none yet."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024 - count * 512))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-count:] if count else []
