"""
The process that reads files for the rag-indexer: `python -m rag_indexer.adapters.parser_child MEGABYTES SECONDS`.

It answers each request on its standard input, in order, and ends when there is no more, or when it has grown: whoever
started it starts another one. Its limits are set before it sees the first byte of a file.
"""

import contextlib
import os
import resource
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from rag_indexer.adapters import file_formats
from rag_indexer.domain.documents import Document
from rag_indexer.domain.ports import Unreadable

REQUEST = struct.Struct(">II")
"""Lengths of the path and of the file, both of which follow."""
ANSWER = struct.Struct(">I")
"""Length of the answer, which follows; 0 says that the process is ready."""
MEGABYTE = 1 << 20
NICE = 10
GROWN = 120 * MEGABYTE
"""Bytes of memory after which it ends between two files, to give them back."""
OPEN_FILES = 32


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The document, or why there is none."""

    document: Document | None = None
    reason: str | None = None


def main() -> None:
    megabytes, seconds = int(sys.argv[1]), int(sys.argv[2])
    # What the event loop that started this has open (sockets, its own files) is nobody's business here.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    requests = sys.stdin.buffer
    # What a library prints must not get between the answers.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        confine(megabytes)
        answers.write(ANSWER.pack(0))
        answers.flush()
        serve(requests, answers, megabytes, seconds)


def confine(megabytes: int) -> None:
    """No more memory than that, no files written, no core left, and the processor only when nobody else wants it."""
    os.nice(NICE)
    for kind, most in (
        (resource.RLIMIT_AS, megabytes * MEGABYTE),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        with contextlib.suppress(ValueError, OSError):  # what a system does not know, it does not limit
            resource.setrlimit(kind, (most, most))


def serve(requests: BinaryIO, answers: BinaryIO, megabytes: int, seconds: int) -> None:
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        name, size = REQUEST.unpack(head)
        path, data = requests.read(name).decode("utf-8", "surrogateescape"), requests.read(size)
        give_seconds(seconds)
        try:
            answer = msgspec.msgpack.encode(answered(path, data))
        except MemoryError:
            data = b""
            answer = msgspec.msgpack.encode(Answer(reason=f"reading it takes more than {megabytes} MB of memory"))
        answers.write(ANSWER.pack(len(answer)) + answer)
        answers.flush()
        if resident() > GROWN:
            return


def answered(path: str, data: bytes) -> Answer:
    try:
        return Answer(document=file_formats.read(path, data))
    except Unreadable as reason:
        return Answer(reason=str(reason))
    except RecursionError:
        return Answer(reason="it nests too deeply")
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library trips over is a broken file, and the next one waits
        return Answer(reason=f"broken ({type(error).__name__}: {error!s:.100})".encode("utf-8", "replace").decode())


def give_seconds(seconds: int) -> None:
    """From now on, of the processor's time; then the system ends this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def resident() -> int:
    """Bytes of memory in use; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    main()
