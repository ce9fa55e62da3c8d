"""From bytes to entries."""

from pathlib import Path

import pytest

from rag_indexer.adapters.folder import DiskFolder
from rag_indexer.adapters.text_parser import TextParser
from rag_indexer.domain.ports import Unreadable
from rag_indexer.domain.reading import Reading, as_text, searchable
from tests.rag_indexer.parts import WordsEncoder, WordTerms, passage, written


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"plain", "plain"), (b"\xef\xbb\xbfwith a mark", "with a mark"), ("数据".encode(), "数据")],
)
def test_utf8_is_text(data: bytes, text: str) -> None:
    assert as_text(data) == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"PK\x00\x01", "binary, not text"),
        (b"caf\xe9", r"not UTF-8 \(byte 3\)"),
        ("hello".encode("utf-16"), "binary, not text"),
        (b"\xed\xa0\x80", r"not UTF-8 \(byte 0\)"),
    ],
)
def test_anything_else_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        as_text(data)


@pytest.fixture
def folder(tmp_path: Path) -> DiskFolder:
    return DiskFolder(
        written(tmp_path, {"a.md": "# A\nsame\n", "b.md": "# A\nsame\n"}),
        max_file_bytes=1_000,
        suffixes=TextParser.suffixes,
    )


async def test_a_passage_keeps_its_id_for_as_long_as_it_says_the_same(folder: DiskFolder, tmp_path: Path) -> None:
    reading = Reading(TextParser(), WordsEncoder(), WordTerms())
    (first,), (other,) = await reading.entries(folder, "a.md"), await reading.entries(folder, "b.md")
    again = await Reading(TextParser(), WordsEncoder(), WordTerms()).entries(folder, "a.md")
    written(tmp_path, {"a.md": "# A\nchanged\n"})
    (changed,) = await reading.entries(folder, "a.md")

    assert again == [first]
    assert len({first.passage.id, other.passage.id, changed.passage.id}) == 3


async def test_two_passages_that_say_the_same_in_one_file_have_two_ids(tmp_path: Path) -> None:
    line = "a line that is said twice " * 60
    folder = DiskFolder(
        written(tmp_path, {"a.txt": f"{line}\n\n{line}"}), max_file_bytes=10_000, suffixes=TextParser.suffixes
    )
    one, two = await Reading(TextParser(), WordsEncoder(), WordTerms()).entries(folder, "a.txt")

    assert one.passage.text == two.passage.text
    assert one.passage.id != two.passage.id


def test_only_the_terms_know_the_title_and_the_headings() -> None:
    assert searchable(passage("a.md", "words")) == "Title\nA > B\nwords"


async def test_the_encoder_is_given_the_text_alone(folder: DiskFolder) -> None:
    encoder = WordsEncoder()
    await Reading(TextParser(), encoder, WordTerms()).entries(folder, "a.md")

    assert encoder.encoded == ["# A\nsame"]


def test_another_encoder_or_other_terms_are_another_fingerprint() -> None:
    encoder, terms = WordsEncoder(), WordTerms()
    ours = Reading(TextParser(), encoder, terms).fingerprint
    encoder.name = "better words"

    assert Reading(TextParser(), encoder, terms).fingerprint != ours
