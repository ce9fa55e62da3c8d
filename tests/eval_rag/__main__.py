"""How good retrieval is: `make eval-rag`. Prints a table for each set of questions; fails where it is not what it must be."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rag_indexer.adapters.engine_encoder import Pace, Prefixes, engine_encoder
from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from rag_indexer.domain.ports import Encoder
from rag_indexer.domain.searches import Mode, Ranking, Searches
from sage_contracts.index import SearchRequest
from tests.eval_rag import corpora, questions
from tests.eval_rag.corpora import Section
from tests.eval_rag.indexes import indexes
from tests.eval_rag.measuring import RANKED, Answer, Figures, figures, judged
from tests.eval_rag.questions import Question

COLLECTIONS = ("docs", "chinese", "readmes")
MODES: tuple[Mode, ...] = ("bm25", "dense", "hybrid")
PATIENT = Pace(query=60.0, passages=600.0)
"""Quality is measured, not speed."""

console = Console(width=110)


@dataclass(frozen=True, slots=True)
class Set:
    name: str
    collection: str
    questions: list[Question]

    @property
    def has_answers(self) -> bool:
        return bool(self.questions[0].places)


@dataclass(frozen=True, slots=True)
class Row:
    encoder: str
    mode: Mode
    figures: Figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.eval_rag", description=__doc__)
    parser.add_argument("--url", help="an OpenAI-compatible server whose embeddings are measured too")
    parser.add_argument("--model", default="embeddings", help="the model it is asked for")
    parser.add_argument("--query-prefix", default="", help="what that model wants before a question")
    parser.add_argument("--passage-prefix", default="", help="and before a passage")
    parser.add_argument(
        "--collections",
        nargs="*",
        default=COLLECTIONS,
        choices=COLLECTIONS,
        help="what is indexed; a slow engine needs less",
    )
    parser.add_argument("--failures", action="store_true", help="show the questions that hybrid does not answer first")
    arguments = parser.parse_args()
    engines: list[AbstractAsyncContextManager[Encoder]] = [nullcontext(WordllamaEncoder())]
    if arguments.url:
        prefixes = Prefixes(arguments.query_prefix, arguments.passage_prefix)
        engines.append(engine_encoder(arguments.url, arguments.model, prefixes, PATIENT))
    with tempfile.TemporaryDirectory(prefix="sage-eval-") as folder:
        sys.exit(asyncio.run(evaluated(Path(folder), engines, arguments.collections, failures=arguments.failures)))


async def evaluated(
    folder: Path, engines: list[AbstractAsyncContextManager[Encoder]], collections: list[str], *, failures: bool
) -> int:
    """The exit status: 1 when a question's place is gone, or hybrid is worse than BM25 alone on a set."""
    (readmes := folder / "readmes").mkdir()
    corpora.write_readmes(readmes)
    everything = dict(zip(COLLECTIONS, (corpora.DOCS, corpora.CHINESE, readmes), strict=True))
    folders = {name: path for name, path in everything.items() if name in collections}
    sets = [one for one in _sets(readmes) if one.collection in collections]
    gone = [line for one in sets for line in corpora.missing(folders[one.collection], one.questions)]
    for line in gone:
        console.print(f"its place is gone: {line}", style="red", markup=False)
    rows: dict[str, list[Row]] = {one.name: [] for one in sets}
    for number, engine in enumerate(engines):
        async with engine as encoder, indexes(folder / f"index-{number}", encoder, folders) as made:
            console.print(f"{encoder.name}: {made.chunks} passages indexed in {made.seconds:.1f} s")
            for mode in MODES if number == 0 else MODES[1:]:
                searches = made.searches(Ranking(mode=mode))
                for one in sets:
                    answers = await _asked(searches, one, folders)
                    rows[one.name].append(Row(encoder.name, mode, figures(answers)))
                    if failures and mode == "hybrid":
                        _show_failures(one, answers)
    for one in sets:
        _show(one, rows[one.name])
    return 1 if gone or _worse(rows, sets) else 0


def _sets(readmes: Path) -> list[Set]:
    unanswerable, held_out = questions.read("unanswerable.txt"), questions.read("held_out.unanswerable.txt")
    return [
        Set("our docs, in English", "docs", questions.read("questions.txt")),
        Set("our docs, asked in Chinese", "docs", questions.read("questions.zh.txt")),
        Set("a Chinese guide, in Chinese", "chinese", questions.read("zh.txt")),
        Set("headings of package READMEs", "readmes", corpora.known_items(readmes)),
        Set("no answer in our docs", "docs", unanswerable),
        Set("no answer in the Chinese guide", "chinese", unanswerable),
        Set("held out: our docs, in English", "docs", questions.read("held_out.txt")),
        Set("held out: our docs, asked in Chinese", "docs", questions.read("held_out.zh.txt")),
        Set("held out: the Chinese guide, in Chinese", "chinese", questions.read("held_out.guide.txt")),
        Set("held out: no answer in our docs", "docs", held_out),
        Set("held out: no answer in the Chinese guide", "chinese", held_out),
    ]


async def _asked(searches: Searches, one: Set, folders: Mapping[str, Path]) -> list[Answer]:
    root = folders[one.collection]

    @cache
    def sections(path: str) -> list[Section]:
        return corpora.sections((root / path).read_text())

    found = []
    for question in one.questions:
        request = SearchRequest(query=question.text, collection=one.collection, top_k=RANKED)
        answer = await searches.find(request)
        if answer.how is not None and answer.how.degraded:
            sys.exit(f"not measured: {answer.how.degraded}")
        found.append(judged(question, answer.passages, sections))
    return found


def _show(one: Set, rows: list[Row]) -> None:
    table = Table(title=f"{one.name}: {len(one.questions)} questions", title_justify="left")
    measures = ("MRR@10", "recall@5", "precision", "answered") if one.has_answers else ("refused",)
    for column in ("ranking", "encoder", *measures):
        table.add_column(column, justify="left" if column in {"ranking", "encoder"} else "right")
    for row in rows:
        told = row.figures
        values = (told.mrr, told.recall, told.precision, told.answered) if one.has_answers else (1 - told.answered,)
        encoder = "" if row.mode == "bm25" else row.encoder
        table.add_row(row.mode, encoder, *(f"{value:.3f}" for value in values))
    console.print(table)


def _show_failures(one: Set, answers: list[Answer]) -> None:
    for question, answer in zip(one.questions, answers, strict=True):
        if (not answer.right[:1] or not answer.right[0]) if question.places else answer.right:
            console.print(f"{one.name}: {question.text} {answer.right}", markup=False)


def _worse(rows: Mapping[str, list[Row]], sets: list[Set]) -> bool:
    found = False
    for one in filter(lambda one: one.has_answers, sets):
        words = next(row for row in rows[one.name] if row.mode == "bm25")
        for row in rows[one.name]:
            if row.mode == "hybrid" and row.figures.mrr < words.figures.mrr:
                console.print(f"{one.name}: hybrid with {row.encoder} is worse than BM25 alone", style="red")
                found = True
    return found


if __name__ == "__main__":
    main()
