"""Logs followed while they are written and set aside."""

from contextlib import closing
from pathlib import Path

from sage_cli import log_files
from sage_cli.log_files import Followed


def test_whole_lines_are_told_once_and_only_from_now(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("before\n")

    with closing(Followed(log)) as followed, log.open("a") as file:
        file.write("one\ntwo\nhal")
        file.flush()
        first = followed.fresh()
        file.write("f\n")
        file.flush()
        second = followed.fresh()
        third = followed.fresh()

    assert (first, second, third) == (["one", "two"], ["half"], [])


def test_a_log_that_was_set_aside_is_read_to_its_end_and_the_next_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("")
    with closing(Followed(log)) as followed:
        with log.open("a") as file:
            file.write("last of the old\n")
        log.rename(tmp_path / "a.log.1")
        log.write_text("first of the new\n")
        told = followed.fresh()

    assert told == ["last of the old", "first of the new"]


def test_a_log_that_comes_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    with closing(Followed(tmp_path / "a.log")) as followed:
        before = followed.fresh()
        (tmp_path / "a.log").write_text("one\n")
        after = followed.fresh()

    assert (before, after) == ([], ["one"])


def test_logs_are_found_by_their_programs(tmp_path: Path) -> None:
    for name in ("a.log", "b.log", "b.log.1"):
        (tmp_path / name).touch()

    assert list(log_files.found(tmp_path, None)) == ["a", "b"]
    assert list(log_files.found(tmp_path, "b")) == ["b"]
