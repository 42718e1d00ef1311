"""Documents of every kind, from the file to the cited sentence or cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.answer.factual import answer_fact
from rag.index import Index
from rag.search.embedding import MiniLM
from rag.search.retrieval import retrieve
from tests.rag.document_kinds import KINDS, Kind, make_file

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Index]:
    """All added in one run, then each in a channel of its own, so that like documents are no rivals."""
    folder = tmp_path_factory.mktemp("kinds")
    with Index.open(folder / "index", embed) as index:
        report = index.add([make_file(kind, folder) for kind in KINDS], frozenset({"channel:all"}))
        assert report.problems == []
        for document in index.documents():
            index.share(document.id, scopes_of(Path(document.root).name))
        yield index


def scopes_of(name: str) -> frozenset[str]:
    """The channel of a kind's file."""
    return frozenset({f"channel:{name.replace('.', '-')}"})


NEAR_MISSES = [
    ("lab.org", "Who is the keeper of the freezer East?"),
    ("rooms2.odt", "When does the Leeds office close on Mondays?"),
    ("team.mbox", "Who resets the badge reader at the south gate?"),
    ("docks.csv", "When does the warehouse in Gdansk close?"),
    ("docks.csv", "When does the warehouse in Lisbon open?"),
    ("letter.html", "When does the winter sale end?"),
    ("bees.epub", "How often is each hive opened in winter?"),
    ("years.md", "How many parcels did the region North have in 2020?"),
]


@pytest.mark.parametrize(("name", "question"), NEAR_MISSES)
def test_a_near_miss_is_refused(name: str, question: str, index: Index) -> None:
    """Another row, day, gate or year than the document has, or the opposite of what it says, is not answered."""
    answer = answer_fact(question, retrieve(index, question, scopes_of(name)), index.embed).answer
    assert not answer.claims


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_question_gets_the_sentence_or_the_cell(kind: Kind, index: Index) -> None:
    """Added without a problem, found, and cited with the right value."""
    passages = retrieve(index, kind.question, scopes_of(kind.name))
    answer = answer_fact(kind.question, passages, index.embed).answer
    assert answer.claims, f"refused; passages: {[passage.text for passage in passages]}"
    first = answer.claims[0].text
    assert kind.says in first
    assert not kind.never or kind.never not in first
