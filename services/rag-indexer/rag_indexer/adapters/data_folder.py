"""The data folder on disk: who may use it, and which version of the index in it is the served one."""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_POINTER = "current"


class DataFolderInUse(Exception):
    """Another process has this folder, or nobody can; the message is one clear sentence."""


@contextmanager
def locked(root: Path) -> Generator[None]:
    """
    Hold the folder for as long as the block runs; it is made if it is not there.

    The lock is the kernel's: it ends with the process, however that ends. Raises DataFolderInUse.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        # "a+" and not "w": whoever holds the lock has written its number there.
        lock = (root / "lock").open("a+")
    except OSError as error:
        raise DataFolderInUse(f"{root} cannot be used as a data folder: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise DataFolderInUse(f"{root} is in use by another rag-indexer (process {owner})") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class DataFolder:
    """Folders `docs@<n>`, one a version, and the file `current` that names the served one."""

    def __init__(self, root: Path, collection: str) -> None:
        self._root = root
        self._prefix = f"{collection}@"

    def current(self) -> Path | None:
        try:
            name = (self._root / _POINTER).read_text().strip()
        except FileNotFoundError:
            return None
        return self._root / name if name.startswith(self._prefix) else None

    def new(self) -> Path:
        """An empty folder for the next version."""
        numbers = [int(path.name.removeprefix(self._prefix)) for path in self._versions()]
        folder = self._root / f"{self._prefix}{max(numbers, default=0) + 1}"
        folder.mkdir()
        return folder

    def point_to(self, folder: Path | None) -> None:
        """In one step, and on the disk when it returns: after a crash the pointer is the old or the new one."""
        pointer = self._root / _POINTER
        if folder is None:
            pointer.unlink(missing_ok=True)
        else:
            draft = self._root / f"{_POINTER}.new"
            write_durably(draft, folder.name.encode())
            draft.replace(pointer)
        sync(self._root)

    def sweep(self) -> list[str]:
        """Remove every version but the served one: what a killed build, or a removal cut short, has left."""
        kept = self.current()
        left = [path for path in self._versions() if path != kept]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        return [path.name for path in left]

    def _versions(self) -> list[Path]:
        found = self._root.glob(f"{self._prefix}*")
        return [path for path in found if path.is_dir() and path.name.removeprefix(self._prefix).isdecimal()]


def write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """A rename is only certain once the folder that holds it is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
