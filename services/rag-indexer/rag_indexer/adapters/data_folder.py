"""The data folder on disk: who may use it, and which version of each index in it is the served one."""

import fcntl
import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

POINTER = "@versions"


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


class Pointer(Struct, frozen=True, omit_defaults=True):
    """Names of folders: the version that is served, and the one before it."""

    served: str | None = None
    earlier: str | None = None


class DataFolder:
    """
    A collection's place in the data folder: a folder `<collection>@<n>` for each version, and the file
    `<collection>@versions` that says which is which.
    """

    def __init__(self, root: Path, collection: str) -> None:
        self._root = root
        self._prefix = f"{collection}@"
        self._file = root / f"{collection}{POINTER}"

    def pointer(self) -> Pointer:
        """What cannot be read, or names what is not there, is as no version."""
        try:
            found = msgspec.json.decode(self._file.read_bytes(), type=Pointer)
        except (OSError, msgspec.MsgspecError):
            return Pointer()
        return Pointer(self._existing(found.served), self._existing(found.earlier))

    def folder(self, name: str) -> Path:
        return self._root / name

    def new(self) -> Path:
        """An empty folder for the next version."""
        numbers = [int(path.name.removeprefix(self._prefix)) for path in self._versions()]
        folder = self._root / f"{self._prefix}{max(numbers, default=0) + 1}"
        folder.mkdir()
        return folder

    def point(self, pointer: Pointer) -> None:
        """In one step, and on the disk when it returns: after a crash the pointer is the old or the new one."""
        if pointer == Pointer():
            self._file.unlink(missing_ok=True)
        else:
            write_durably(self._file, msgspec.json.encode(pointer))
        sync(self._root)

    def others(self) -> list[Path]:
        """The versions that are neither served nor the earlier one, oldest first: drafts, and what a crash has left."""
        pointer = self.pointer()
        left = [path for path in self._versions() if path.name not in {pointer.served, pointer.earlier}]
        return sorted(left, key=lambda path: int(path.name.removeprefix(self._prefix)))

    def _existing(self, name: str | None) -> str | None:
        return name if name in {path.name for path in self._versions()} else None

    def _versions(self) -> list[Path]:
        found = self._root.glob(f"{self._prefix}*")
        return [path for path in found if path.is_dir() and path.name.removeprefix(self._prefix).isdecimal()]


def collections(root: Path) -> list[str]:
    """Those with a pointer, in order."""
    return sorted(path.name.removesuffix(POINTER) for path in root.glob(f"*{POINTER}"))


def write_durably(path: Path, data: bytes) -> None:
    """
    Whoever reads it, also after a crash, sees what was there before or all of `data`.

    Of several who write at once each has a draft of its own, and one is the last.
    """
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def sync_files(folder: Path) -> None:
    """Everything that was written to files in it, and below, is on the disk when this returns."""
    for path in folder.rglob("*"):
        if path.is_file():
            sync(path)


def sync(folder: Path) -> None:
    """A rename is only certain once the folder that holds it is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
