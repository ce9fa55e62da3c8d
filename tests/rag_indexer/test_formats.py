"""A folder with every format, and with files that are broken or made to do harm, through the whole rag-indexer."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rag_indexer.app import assemble
from rag_indexer.settings import Settings
from sage_contracts.index import BuildRequest, SearchRequest
from tests.rag_indexer import files
from tests.rag_indexer.parts import written

pytestmark = pytest.mark.slow

GOOD: dict[str, str | bytes] = {
    "guide.md": "---\ntags: [radiators]\n---\n# Bleeding\n\nOpen the valve with the brass key until water comes.\n",
    "notes.txt": "The boiler was serviced by Fenwick in spring.\n",
    "manual.rst": "Pressure\n========\n\nKeep the gauge between one and two bar.\n",
    "page.html": "<title>Thermostat</title>\n<p>Turn the dial\nto snowflake in winter.</p>\n",
    "book.pdf": files.pdf([["Contents"], ["Chimney sweeping is due in October"]]),
    "report.docx": files.word(),
    "study.ipynb": json.dumps(
        {"cells": [{"cell_type": "markdown", "source": ["# Study\n", "Heat loss of windows."]}]}, indent=1
    ),
    "people.csv": "name,trade\nOkonkwo,plumber\n",
    "config.json": '{\n  "pump": {\n    "speed": "eco"\n  }\n}\n',
    "heating.py": "def warm_up(minutes):\n    return minutes * 2\n",
    "long.log": "a line of the log\n" * 100_000,
    "wide.txt": "word " * 1_000_000,
}
BAD: dict[str, tuple[bytes, str]] = {
    "bomb.docx": (files.word_with(b"<w:p>" + b" " * 60_000_000), "ZIP bomb"),
    "laughs.docx": (files.word_with(files.billion_laughs()), "broken DOCX"),
    "locked.pdf": (files.pdf([["secret"]], password="key"), "encrypted"),
    "cut.pdf": (files.pdf([["words"]])[:300], "broken PDF"),
    "deep.html": (b"<div>" * 200_000, " seconds"),
    "latin.txt": (b"na\xefve", "not UTF-8"),
    "empty.md": (b"\n", "empty"),
    "binary.txt": (b"\0\1", "binary"),
    "huge.txt": (b"word " * 2_400_000, "larger than 10000000 bytes"),
}


async def test_bad_files_are_named_and_the_others_are_found(tmp_path: Path) -> None:
    docs = written(tmp_path / "docs", {**GOOD, **{name: data for name, (data, _) in BAD.items()}})
    os.mkfifo(docs / "pipe.md")
    config = Settings(
        source_dir=str(docs),
        data_dir=str(tmp_path / "data"),
        build_at_start=False,
        parser_seconds=4,
        parser_processes=2,
    )
    async with assemble(config, CollectorRegistry()) as parts:
        built = await parts.builds.build(BuildRequest())
        questions = ["brass key valve", "snowflake in winter", "chimney sweeping", "pump speed eco", "warm_up minutes"]
        found = await asyncio.gather(*(parts.searches.find(SearchRequest(query=text)) for text in questions))

    assert built.index is not None
    skipped = dict(line.split(": ", 1) for line in built.index.skipped)
    assert skipped.keys() == {*BAD, "pipe.md"}
    assert [name for name, (_, reason) in BAD.items() if reason not in skipped[name]] == []
    assert built.index.num_documents == len(GOOD)
    best = [one.passages[0].source for one in found]
    assert [(one.path, one.type, one.lines, one.page, one.anchor) for one in best] == [
        ("guide.md", "markdown", (1, 6), None, "bleeding"),
        ("page.html", "html", (2, 3), None, ""),
        ("book.pdf", "pdf", (1, 1), 2, "page=2"),
        ("config.json", "json", (1, 5), None, "L1"),
        ("heating.py", "code", (1, 2), None, "L1"),
    ]
