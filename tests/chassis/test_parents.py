"""A worker does not outlive the process that started it."""

import multiprocessing
import subprocess
import sys
import threading

from sage_chassis.parents import end_with_parent

FAMILY = """
import multiprocessing, os, time
from sage_chassis.parents import end_with_parent

def worker():
    end_with_parent()
    print("up", flush=True)
    time.sleep(60)

multiprocessing.get_context("fork").Process(target=worker).start()
"""


def test_a_worker_whose_parent_is_killed_ends_too() -> None:
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()

        # Both share the pipe: it ends when the last of them does.
        assert parent.stdout.read() == b""


def test_a_process_that_nobody_forked_is_left_alone() -> None:
    assert multiprocessing.parent_process() is None
    before = threading.active_count()

    end_with_parent()

    assert threading.active_count() == before
