"""Folders on disk: which may be indexed, what is in them, and their files' bytes, without being led astray."""

import errno
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rag_indexer.domain.manifest import Stamp
from rag_indexer.domain.ports import Content, Listing, Unreadable
from sage_contracts.errors import SourceRefused

_UNLED = os.O_NOFOLLOW | os.O_CLOEXEC


class AllowedFolders:
    """
    Folders inside `roots`, which are absolute once links are resolved.

    A relative `source_dir` is looked for in each root in turn: a client cannot know a service's current folder.
    """

    def __init__(self, roots: Sequence[str], *, max_file_bytes: int, suffixes: Collection[str]) -> None:
        self._roots = [Path(root).expanduser().resolve() for root in roots]
        self._max_file_bytes = max_file_bytes
        self._suffixes = frozenset(suffixes)

    def open(self, source_dir: str) -> "DiskFolder":
        if "\0" in source_dir:
            raise SourceRefused("source_dir must not contain a NUL", param="source_dir")
        resolved = next(self._folders(source_dir), None)
        within = next((root for root in self._roots if resolved is not None and resolved.is_relative_to(root)), None)
        if resolved is None or within is None:
            # The same answer for a folder outside and for one that does not exist: which exist is nobody's business.
            raise SourceRefused(f"source_dir must be a folder inside {self._told()}", param="source_dir")
        return DiskFolder(resolved, within=within, max_file_bytes=self._max_file_bytes, suffixes=self._suffixes)

    def _folders(self, source_dir: str) -> Iterator[Path]:
        for root in self._roots:
            try:
                # An absolute source_dir replaces the root it is joined to.
                path = (root / Path(source_dir).expanduser()).resolve()
                if path.is_dir():
                    yield path
            except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links, nobody's home
                continue

    def _told(self) -> str:
        return " or ".join(str(root) for root in self._roots) or "an allowed root, and none is configured"


class DiskFolder:
    """
    One folder, links resolved. Its own links are followed to files inside it and to nothing else.

    `within` is an allowed root that it lies in, itself if none is given. Below that no link is obeyed on the way to it:
    one swapped in for a folder above it, after it was allowed, would lead anywhere.
    """

    def __init__(
        self, root: Path, *, within: Path | None = None, max_file_bytes: int, suffixes: Collection[str]
    ) -> None:
        self._root = root
        self._within = within or root
        self._max_file_bytes = max_file_bytes
        self._suffixes = frozenset(suffixes)

    @property
    def path(self) -> str:
        return str(self._root)

    def listing(self) -> Listing:
        """Hidden files and folders are left out without a word: `.git` and `.venv` are nobody's documents."""
        found = Listing([], [])
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            place = waiting.pop()
            try:
                inner = self._list(place, found)
            except OSError as error:
                if not place:
                    # Without a single file there would be an index, in place of the one that is served.
                    raise SourceRefused(f"source_dir cannot be listed: {_reason(error)}", param="source_dir") from error
                found.skipped.append(f"{_shown('/'.join(place))}/: {_reason(error)}")
            else:
                waiting += [(*place, name) for name in sorted(inner, reverse=True)]
        found.paths.sort()
        return found

    def _list(self, place: tuple[str, ...], found: Listing) -> list[str]:
        """Adds the files of one folder; the names of the folders in it."""
        folders = []
        descriptor = open_beneath(self._within, [*self._root.relative_to(self._within).parts, *place], os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                named = sorted((entry.name, is_folder(entry), entry.is_symlink()) for entry in entries)
        finally:
            os.close(descriptor)
        for name, leads_to_folder, is_link in named:
            path = "/".join((*place, name))
            if name.startswith("."):
                continue
            if leads_to_folder and is_link:
                found.skipped.append(f"{_shown(path)}/: a link to a folder")
            elif leads_to_folder:
                folders.append(name)
            elif Path(name).suffix.lower() in self._suffixes:
                if _shown(path) == path:
                    found.paths.append(path)
                else:
                    found.skipped.append(f"{_shown(path)}: its name is not UTF-8")
        return folders

    def stamp(self, path: str) -> Stamp | None:
        try:
            return _stamp((self._root / path).stat())
        except (OSError, ValueError):
            return None

    def read(self, path: str) -> Content:
        try:
            real = (self._root / path).resolve()
            if not real.is_relative_to(self._root):
                raise Unreadable("leads outside the folder")
            descriptor = open_beneath(self._within, real.relative_to(self._within).parts, os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise Unreadable("not a regular file")
                # One byte more than may be: a file that grows while it is read must not get past the limit either.
                data = file.read(self._max_file_bytes + 1)
                after = os.fstat(descriptor)
        except OSError as error:
            raise Unreadable(_reason(error)) from error
        except RuntimeError as error:  # pathlib's word for a loop
            raise Unreadable("a loop of links") from error
        if len(data) > self._max_file_bytes:
            raise Unreadable(f"larger than {self._max_file_bytes} bytes")
        return Content(data, _stamp(before) if _stamp(before) == _stamp(after) else None)


def open_beneath(root: Path, parts: Sequence[str], more: int = 0) -> int:
    """
    Open without following any link on the way: one swapped in after the path was checked must not be obeyed.

    Folders on the way need only be entered: they may be such as may not be listed.

    `more` are flags for the last part: O_DIRECTORY, or O_NONBLOCK because opening a pipe would wait for its writer.
    """
    found = os.open(root, os.O_PATH | _UNLED | os.O_DIRECTORY)
    for part in parts[:-1]:
        found = _inner(found, part, os.O_PATH | os.O_DIRECTORY)
    return _inner(found, parts[-1] if parts else ".", os.O_RDONLY | more)


def _inner(outer: int, part: str, flags: int) -> int:
    """In place of `outer`, which is closed."""
    try:
        return os.open(part, flags | _UNLED, dir_fd=outer)
    finally:
        os.close(outer)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Or a link that leads to one."""
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or a link to where nobody may look
        return False


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return "it does not exist any more"
        case errno.ELOOP:
            return "a link that was not there before"
        case _:
            return (error.strerror or type(error).__name__).lower()


def _shown(path: str) -> str:
    """The path itself, unless its bytes are not UTF-8: such a name cannot be sent as JSON."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
