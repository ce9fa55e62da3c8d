"""Which folders may be indexed, and what of them is read."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rag_indexer.adapters.folder import AllowedFolders, DiskFolder, open_beneath
from rag_indexer.domain.ports import Unreadable
from sage_contracts.errors import SourceRefused
from tests.rag_indexer.parts import written

SUFFIXES = {".md", ".markdown", ".rst", ".txt"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return written(tmp_path / "root", {"docs/a.md": "a", "docs/deep/b.txt": "b"})


@pytest.fixture
def docs(root: Path) -> DiskFolder:
    return DiskFolder(root / "docs", max_file_bytes=100, suffixes=SUFFIXES)


def opened(root: Path, source_dir: str) -> str:
    return AllowedFolders([str(root)], max_file_bytes=100, suffixes=SUFFIXES).open(source_dir).path


@pytest.mark.parametrize("source_dir", ["docs", "./docs", "docs/", "docs/../docs", "docs/deep/.."])
def test_a_folder_is_found_in_an_allowed_root(root: Path, source_dir: str) -> None:
    assert opened(root, source_dir) == str(root / "docs")
    assert opened(root, str(root / source_dir)) == str(root / "docs")


def test_the_root_itself_may_be_indexed(root: Path) -> None:
    assert opened(root, str(root)) == opened(root, ".") == str(root)


def test_a_link_inside_the_root_is_followed_to_where_it_leads(root: Path) -> None:
    (root / "link").symlink_to(root / "docs")

    assert opened(root, "link") == str(root / "docs")


@pytest.mark.parametrize(
    "source_dir",
    [
        "/",
        "/etc",
        "..",
        "docs/../..",
        "nowhere",
        "docs/a.md",
        "out",
        "out/inner",
        "loop",
        "x" * 5_000,
        "~nobody-here/x",
        "~",
        "\udc80",
    ],
)
def test_everything_else_is_refused_and_the_roots_are_named(root: Path, source_dir: str) -> None:
    (root.parent / "outside" / "inner").mkdir(parents=True)
    (root / "out").symlink_to(root.parent / "outside")
    (root / "loop").symlink_to(root / "loop")

    with pytest.raises(SourceRefused, match=f"must be a folder inside {root}$") as caught:
        opened(root, source_dir)
    assert caught.value.param == "source_dir"


def test_a_nul_is_refused(root: Path) -> None:
    with pytest.raises(SourceRefused, match="NUL"):
        opened(root, "docs\0/../..")


def test_a_sibling_whose_name_begins_like_the_root_is_outside(root: Path) -> None:
    (root.parent / "root-other").mkdir()

    with pytest.raises(SourceRefused):
        opened(root, str(root.parent / "root-other"))


def test_without_roots_nothing_may_be_indexed(root: Path) -> None:
    with pytest.raises(SourceRefused, match="none is configured"):
        AllowedFolders([], max_file_bytes=100, suffixes=SUFFIXES).open(str(root))


def test_text_files_are_listed_in_order_and_hidden_ones_are_not(docs: DiskFolder) -> None:
    names = ["B.MD", "c.markdown", "z.rst", "deep/d.md", "image.png", "code.py", ".hidden.md", ".git/e.md", "no_suffix"]
    written(Path(docs.path), dict.fromkeys(names, "x"))
    listing = docs.listing()

    assert listing.paths == ["B.MD", "a.md", "c.markdown", "deep/b.txt", "deep/d.md", "z.rst"]
    assert listing.skipped == []


def test_a_file_is_read_whole(docs: DiskFolder) -> None:
    assert (docs.read("a.md").data, docs.read("deep/b.txt").data) == (b"a", b"b")


def test_a_link_to_a_file_inside_the_folder_is_read(docs: DiskFolder) -> None:
    Path(docs.path, "link.md").symlink_to("deep/b.txt")

    assert "link.md" in docs.listing().paths
    assert docs.read("link.md").data == b"b"


def test_a_link_to_a_folder_is_told_and_not_entered(docs: DiskFolder) -> None:
    Path(docs.path, "link").symlink_to("deep")
    listing = docs.listing()

    assert listing.skipped == ["link/: a link to a folder"]
    assert listing.paths == ["a.md", "deep/b.txt"]


def test_a_name_that_is_not_utf8_is_told(docs: DiskFolder) -> None:
    Path(docs.path, os.fsdecode(b"caf\xe9.md")).write_bytes(b"x")
    listing = docs.listing()

    assert listing.skipped == ["caf\ufffd.md: its name is not UTF-8"]
    assert listing.paths == ["a.md", "deep/b.txt"]


def refused(docs: DiskFolder, path: str) -> str:
    with pytest.raises(Unreadable) as caught:
        docs.read(path)
    return str(caught.value)


def test_a_file_at_the_limit_is_read_and_a_larger_one_is_not(docs: DiskFolder) -> None:
    written(Path(docs.path), {"fits.md": "x" * 100, "huge.md": "x" * 101})

    assert len(docs.read("fits.md").data) == 100
    assert refused(docs, "huge.md") == "larger than 100 bytes"


def test_a_link_that_leads_outside_is_refused(docs: DiskFolder, root: Path) -> None:
    written(root, {"secret.md": "s"})
    Path(docs.path, "out.md").symlink_to(root / "secret.md")

    assert refused(docs, "out.md") == refused(docs, "../secret.md") == "leads outside the folder"


def test_a_file_that_vanished_is_refused(docs: DiskFolder) -> None:
    Path(docs.path, "dangling.md").symlink_to("nowhere.md")

    assert refused(docs, "gone.md") == refused(docs, "dangling.md") == "it does not exist any more"


def test_a_loop_of_links_is_refused(docs: DiskFolder) -> None:
    Path(docs.path, "loop.md").symlink_to("loop.md")

    assert docs.listing().paths == ["a.md", "deep/b.txt", "loop.md"]
    assert refused(docs, "loop.md") == "a loop of links"


def test_a_pipe_a_socket_and_a_folder_are_no_files(docs: DiskFolder) -> None:
    os.mkfifo(Path(docs.path, "pipe.md"))
    Path(docs.path, "folder.md").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(Path(docs.path, "socket.md")))

    assert refused(docs, "pipe.md") == "not a regular file"
    assert refused(docs, "folder.md") == "is a directory"
    assert refused(docs, "socket.md") == "no such device or address"


@pytest.mark.parametrize("parts", [("link", "b.txt"), ("deep", "link.txt")])
def test_a_link_swapped_in_after_the_path_was_checked_is_not_followed(docs: DiskFolder, parts: tuple[str, ...]) -> None:
    Path(docs.path, "link").symlink_to("deep")
    Path(docs.path, "deep", "link.txt").symlink_to("b.txt")

    with pytest.raises(OSError, match=r"Not a directory|Too many levels of symbolic links"):
        open_beneath(Path(docs.path), parts)


def test_a_link_swapped_in_for_a_folder_above_is_not_followed(root: Path) -> None:
    written(root, {"team/docs/a.md": "a", "team/docs/deep/b.md": "b"})
    written(root.parent / "outside", {"docs/a.md": "secret", "docs/secret.md": "s"})
    docs = AllowedFolders([str(root)], max_file_bytes=100, suffixes=SUFFIXES).open("team/docs")

    assert (docs.listing().paths, docs.read("a.md").data) == (["a.md", "deep/b.md"], b"a")
    (root / "team").rename(root / "before")
    (root / "team").symlink_to(root.parent / "outside")

    with pytest.raises(SourceRefused, match="source_dir cannot be listed: not a directory"):
        docs.listing()
    with pytest.raises(Unreadable, match="leads outside the folder"):
        docs.read("a.md")


def test_a_link_swapped_in_for_a_folder_above_while_a_file_is_read_is_not_followed(root: Path) -> None:
    """As fast as it goes, for a moment: whatever is read meanwhile was in the folder."""
    written(root, {"team/docs/a.md": "a"})
    written(root.parent / "outside", {"docs/a.md": "secret", "docs/secret.md": "s"})
    (root / "link").symlink_to(root.parent / "outside")
    docs = AllowedFolders([str(root)], max_file_bytes=100, suffixes=SUFFIXES).open("team/docs")
    over = threading.Event()
    swapping = threading.Thread(target=_swap, args=(root, over))
    swapping.start()
    seen: set[str] = set()
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        with suppress(SourceRefused):
            seen |= set(docs.listing().paths)
        with suppress(Unreadable):
            seen.add(docs.read("a.md").data.decode())
    over.set()
    swapping.join()

    assert seen <= {"a.md", "a"}


def _swap(root: Path, over: threading.Event) -> None:
    while not over.is_set():
        (root / "team").rename(root / "before")
        (root / "link").rename(root / "team")
        (root / "team").rename(root / "link")
        (root / "before").rename(root / "team")


@contextmanager
def unprivileged() -> Iterator[None]:
    """As root everything may be read: be nobody for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_what_may_not_be_read_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = written(Path(folder).resolve(), {"a.md": "a", "b.md": "b", "deep/c.md": "c"})
        root.chmod(0o755)
        (root / "a.md").chmod(0)
        (root / "deep").chmod(0)
        docs = DiskFolder(root, max_file_bytes=100, suffixes=SUFFIXES)
        with unprivileged():
            reason, listing = refused(docs, "a.md"), docs.listing()
        (root / "deep").chmod(0o755)

    assert reason == "permission denied"
    assert (listing.paths, listing.skipped) == (["a.md", "b.md"], ["deep/: permission denied"])


def test_a_folder_that_may_only_be_entered_hides_none_below_it_and_is_not_listed_itself() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = written(Path(folder).resolve(), {"team/docs/a.md": "a"})
        root.chmod(0o711)
        (root / "team").chmod(0o711)
        allowed = AllowedFolders([str(root)], max_file_bytes=100, suffixes=SUFFIXES)
        with unprivileged():
            docs = allowed.open(str(root / "team" / "docs"))
            paths, content = docs.listing().paths, docs.read("a.md").data
            for above in (root, root / "team"):
                with pytest.raises(SourceRefused, match="source_dir cannot be listed: permission denied"):
                    allowed.open(str(above)).listing()

    assert (paths, content) == (["a.md"], b"a")
