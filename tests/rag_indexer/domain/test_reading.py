"""From bytes to entries."""

import time
from pathlib import Path

import msgspec
import pytest

from rag_indexer.adapters.folder import DiskFolder
from rag_indexer.domain.documents import Document, Entry, Meta
from rag_indexer.domain.manifest import FileState, Manifest, Stamp, proving
from rag_indexer.domain.ports import Content, Folder, Listing, Unreadable
from rag_indexer.domain.reading import Reading, searchable
from tests.rag_indexer.parts import WordsEncoder, WordTerms, passage, written
from tests.rag_indexer.text_parser import TextParser


@pytest.fixture
def folder(tmp_path: Path) -> DiskFolder:
    return DiskFolder(
        written(tmp_path, {"a.md": "# A\nsame\n", "b.md": "# A\nsame\n"}),
        max_file_bytes=1_000,
        suffixes=TextParser.suffixes,
    )


async def entries(reading: Reading, folder: Folder, path: str) -> list[Entry]:
    parsed = await reading.parsed(folder, path, collection="docs", now=time.time())
    (made,) = await reading.made([parsed])
    return list(made.entries)


async def test_a_passage_keeps_its_id_for_as_long_as_it_says_the_same(folder: DiskFolder, tmp_path: Path) -> None:
    reading = Reading(TextParser(), WordsEncoder(), WordTerms())
    (first,), (other,) = await entries(reading, folder, "a.md"), await entries(reading, folder, "b.md")
    again = await entries(Reading(TextParser(), WordsEncoder(), WordTerms()), folder, "a.md")
    written(tmp_path, {"a.md": "# A\nchanged\n"})
    (changed,) = await entries(reading, folder, "a.md")

    assert again == [first]
    assert len({first.passage.id, other.passage.id, changed.passage.id}) == 3


async def test_two_passages_that_say_the_same_in_one_file_have_two_ids(tmp_path: Path) -> None:
    line = "a line that is said twice " * 40
    folder = DiskFolder(
        written(tmp_path, {"a.txt": f"{line}\n\n{line}"}), max_file_bytes=10_000, suffixes=TextParser.suffixes
    )
    one, two = await entries(Reading(TextParser(), WordsEncoder(), WordTerms()), folder, "a.txt")

    assert one.passage.text == two.passage.text
    assert one.passage.id != two.passage.id


def test_only_the_terms_know_the_title_and_the_headings() -> None:
    assert searchable(passage("a.md", "words")) == "Title\nA > B\nwords"


async def test_the_encoder_is_given_the_text_alone(folder: DiskFolder) -> None:
    encoder = WordsEncoder()
    await entries(Reading(TextParser(), encoder, WordTerms()), folder, "a.md")

    assert encoder.encoded == ["# A\nsame"]


def test_another_encoder_or_other_terms_are_another_fingerprint() -> None:
    encoder, terms = WordsEncoder(), WordTerms()
    ours = Reading(TextParser(), encoder, terms).fingerprint
    encoder.name = "better words"

    assert Reading(TextParser(), encoder, terms).fingerprint != ours


class Files:
    """A folder of one file, which counts how often it is read."""

    path = "/docs"

    def __init__(self, data: bytes, stamp: Stamp | None, meta: Meta | None = None) -> None:
        self.data = data
        self.stamped = stamp
        self.meta: Meta = meta or {}
        self.reads = 0

    def listing(self) -> Listing:
        return Listing(["a.md"], [])

    def stamp(self, path: str) -> Stamp | None:
        return self.stamped

    def read(self, path: str) -> Content:
        self.reads += 1
        return Content(self.data, self.stamped, self.meta)


OLD = Stamp(size=4, modified=1_000_000_000, changed=1_000_000_000, inode=1, device=1)
LONG_AFTER = 100.0


def scanned(folder: Files, known: Manifest, now: float = LONG_AFTER) -> Manifest:
    reading = Reading(TextParser(), WordsEncoder(), WordTerms())
    return reading.scan(folder, known, now, lambda done, total: None).files


def test_a_file_whose_stamp_has_not_changed_is_not_read_again() -> None:
    folder = Files(b"text", OLD)
    first = scanned(folder, {})
    second = scanned(folder, first)

    assert (second, folder.reads) == (first, 1)


@pytest.mark.parametrize("field", ["size", "modified", "changed", "inode", "device"])
def test_a_file_of_which_the_stamp_differs_is_read_again(field: str) -> None:
    folder = Files(b"text", OLD)
    first = scanned(folder, {})
    folder.data, folder.stamped = b"else", msgspec.structs.replace(OLD, **{field: 7})
    second = scanned(folder, first)

    assert folder.reads == 2
    assert first["a.md"].hash != second["a.md"].hash


def test_a_file_changed_a_moment_before_it_is_read_is_read_again_next_time() -> None:
    folder = Files(b"text", OLD)
    first = scanned(folder, {}, now=2.5)
    folder.data = b"else"

    assert first["a.md"].stamp is None
    assert scanned(folder, first)["a.md"].hash != first["a.md"].hash


def test_a_stamp_proves_nothing_for_two_seconds() -> None:
    later = msgspec.structs.replace(OLD, changed=5_000_000_000)

    assert (proving(OLD, 3.0), proving(OLD, 2.9), proving(None, 9.0)) == (OLD, None, None)
    assert (proving(later, 3.0), proving(later, 7.0)) == (None, later)


def test_what_is_said_of_a_file_is_part_of_what_it_is() -> None:
    assert scanned(Files(b"x", OLD), {})["a.md"].hash == scanned(Files(b"x", OLD), {})["a.md"].hash
    assert scanned(Files(b"x", OLD, {"a": 1}), {})["a.md"].hash != scanned(Files(b"x", OLD), {})["a.md"].hash


def test_bytes_and_what_is_said_of_them_are_told_apart() -> None:
    assert scanned(Files(b"x", OLD, {"a": 1}), {})["a.md"].hash != scanned(Files(b'x{"a":1}', OLD), {})["a.md"].hash


async def test_passages_know_the_time_of_their_file_and_what_is_said_of_it() -> None:
    reading = Reading(TextParser(), WordsEncoder(), WordTerms())
    (one,) = await entries(reading, Files(b"text", OLD, {"team": "a"}), "a.md")

    assert (one.passage.modified, one.passage.meta, one.passage.collection) == (1.0, {"team": "a"}, "docs")
    assert len(one.passage.content_hash) == 16


async def test_a_file_that_is_no_text_is_remembered_with_its_reason() -> None:
    reading = Reading(TextParser(), WordsEncoder(), WordTerms())
    parsed = await reading.parsed(Files(b"\0", OLD), "a.md", collection="docs", now=LONG_AFTER)

    assert (parsed.state.unreadable, parsed.state.chunks, parsed.passages) == ("binary, not text", 0, [])


async def test_a_reason_that_may_pass_is_not_remembered() -> None:
    class Busy(TextParser):
        async def parse(self, path: str, data: bytes) -> Document:
            raise Unreadable("took too long", passing=True)

    with pytest.raises(Unreadable, match="took too long"):
        await Reading(Busy(), WordsEncoder(), WordTerms()).parsed(
            Files(b"text", OLD), "a.md", collection="docs", now=LONG_AFTER
        )


@pytest.mark.parametrize("text", ["no heading\n", "# Heading\ntext\n", "same " * 900 + "\n\n" + "same " * 900])
async def test_a_moved_file_is_what_a_build_from_nothing_would_have_made_of_it(tmp_path: Path, text: str) -> None:
    written(tmp_path, {"a.md": text, "b/c.md": text})
    folder = DiskFolder(tmp_path, max_file_bytes=10_000, suffixes=TextParser.suffixes)
    encoder = WordsEncoder()
    reading = Reading(TextParser(), encoder, WordTerms())
    before, afresh = await entries(reading, folder, "a.md"), await entries(reading, folder, "b/c.md")
    encoder.encoded.clear()
    moved = reading.moved("b/c.md", FileState(hash="h", size=1), reversed(before))

    assert list(map(unstamped, sorted(moved.entries, key=_id))) == list(map(unstamped, sorted(afresh, key=_id)))
    assert encoder.encoded == []


@pytest.mark.parametrize(("path", "title"), [("a/cache.py", "cache.py"), ("a/notes.txt", "notes"), ("b.md", "b")])
async def test_a_file_that_says_no_title_is_named_as_it_is(tmp_path: Path, path: str, title: str) -> None:
    folder = DiskFolder(written(tmp_path, {path: "x = 1\n"}), max_file_bytes=100, suffixes=TextParser.suffixes)
    (one,) = await entries(Reading(TextParser(), WordsEncoder(), WordTerms()), folder, path)

    assert (one.passage.title, one.passage.untitled) == (title, True)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("old.py", "new.py", "def run():\n    pass\n"),
        ("setup.md", "install.md", "# setup\ntext\n"),
        ("setup.md", "install.md", "no heading\n"),
        ("table.csv", "people.csv", "name,age\nAnn,3\n"),
    ],
)
async def test_a_moved_file_has_the_title_that_a_new_one_would_have(
    tmp_path: Path, before: str, after: str, text: str
) -> None:
    folder = DiskFolder(
        written(tmp_path, {before: text, after: text}), max_file_bytes=10_000, suffixes=TextParser.suffixes
    )
    reading = Reading(TextParser(), WordsEncoder(), WordTerms())
    moved = reading.moved(after, FileState(hash="h", size=1), await entries(reading, folder, before))
    afresh = await entries(reading, folder, after)

    assert list(map(unstamped, moved.entries)) == list(map(unstamped, afresh))


def _id(entry: Entry) -> str:
    return entry.passage.id


def unstamped(entry: Entry) -> Entry:
    return Entry(msgspec.structs.replace(entry.passage, modified=None), entry.vectors)
