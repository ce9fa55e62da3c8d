"""The local stack's folder: its files are its owner's alone, its socket's path is short enough."""

from pathlib import Path

import pytest

from sage_cli.failures import Failed
from sage_cli.home import Home, Kept, last_lines

KEPT = Kept(host="127.0.0.1", port=8000, password="secret", ports={"valkey": 1})


def test_what_a_start_leaves_is_read_by_the_next_and_by_nobody_else(tmp_path: Path) -> None:
    home = Home(tmp_path / "a b")
    home.make()
    home.keep(KEPT)

    assert home.kept() == KEPT
    assert (home.root / "stack.json").stat().st_mode & 0o777 == 0o600
    assert home.root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"port": "x"}', b"\xff"])
def test_a_broken_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stack.json").write_bytes(content)

    assert Home(tmp_path).kept() is None


@pytest.mark.parametrize("bad", ["$HOME", 'a"b', "a'b", "100%", "a;b", "a#b", "a{b", "a\\b", "a\nb"])
def test_a_name_that_nginx_would_misread_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(Failed, match="SAGE_HOME may not contain"):
        Home(tmp_path / bad).make()


def test_a_home_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Failed, match="cannot be made"):
        Home(tmp_path / "file" / "home").make()


def test_a_deep_home_has_its_socket_elsewhere_and_always_at_the_same_place(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("x" * 100))

    assert len(str(deep.socket)) < 100
    assert deep.socket == Home(deep.root).socket
    assert deep.socket != Home(tmp_path / ("y" * 100)).socket
    assert Home(Path("/home/u/.sage")).socket == Path("/home/u/.sage/run/supervisor.sock")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_the_url_is_one_that_this_machine_can_use(host: str, url: str) -> None:
    assert Kept(host=host, port=8000, password="", ports={}).url == url


def test_the_last_lines_of_a_log_however_long_it_is(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"\n".join(b"line %d" % number for number in range(100_000)) + b"\nbad \xff\n")

    assert last_lines(log, 2) == ["line 99999", "bad \ufffd"]
    assert last_lines(log, 0) == last_lines(tmp_path / "none.log", 5) == []
