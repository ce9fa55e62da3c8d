"""A worker ends with the process that started it: an orphan would keep the port, and half of the requests."""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """
    End this process, at once, when the one that forked it is gone.

    Granian's parent stops its workers when it is told to stop, but a parent that is killed cannot. Its successor would
    share the port with the orphan, which nobody watches any more.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent.sentinel,), name="parent watch", daemon=True).start()


def _outlive(parent: int) -> None:
    wait([parent])
    os._exit(1)
