"""A folder copied as it is on the disk: holes stay holes."""

import errno
import os
from pathlib import Path

_CHUNK = 4 * 1024 * 1024


def copy_folder(source: Path, target: Path) -> None:
    """`target` must not be there yet. Regular files and folders only."""
    target.mkdir()
    for entry in os.scandir(source):
        if entry.is_dir(follow_symlinks=False):
            copy_folder(Path(entry.path), target / entry.name)
        else:
            _copy_file(Path(entry.path), target / entry.name)


def _copy_file(source: Path, target: Path) -> None:
    """An index's files are laid out for many more vectors than they hold: most of them is hole."""
    with source.open("rb") as read, target.open("wb") as written:
        size = os.fstat(read.fileno()).st_size
        os.ftruncate(written.fileno(), size)
        end = 0
        while (start := _data_from(read.fileno(), end)) is not None:
            end = os.lseek(read.fileno(), start, os.SEEK_HOLE)
            _copy_range(read.fileno(), written.fileno(), start, end)


def _data_from(descriptor: int, offset: int) -> int | None:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        data = os.pread(source, min(_CHUNK, end - start), start)
        start += os.pwrite(target, data, start)
