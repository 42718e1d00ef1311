"""Who may read what: no question, however asked, brings back a passage that its asker may not read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import RagError
from rag.index import Index
from rag.search.embedding import MiniLM
from rag.search.retrieval import SearchWeights, retrieve
from rag.search.store import check_scopes
from rag.search.vectors import ExactVectors, keys_by_scope
from tests.rag.conftest import Counting

pytestmark = pytest.mark.integration

CHANNELS = [f"channel:C{n}" for n in range(6)]
TRIES = 3000
TOPICS = ["refund", "password", "webhook", "export", "invoice", "holiday", "outage", "contract"]


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, embed: MiniLM
) -> Iterator[tuple[Index, dict[str, frozenset[str]]]]:
    """Forty documents on eight topics, each for the workspace or for one to three channels, all much alike."""
    folder: Path = tmp_path_factory.mktemp("scopes")
    chance = random.Random(7)
    with Index.open(folder / "index", Counting(embed)) as index:
        rights = {}
        for number in range(40):
            topic = TOPICS[number % len(TOPICS)]
            scopes = frozenset(chance.sample(CHANNELS, chance.randint(1, 3)) if number % 5 else ["workspace"])
            path = folder / f"{number}.md"
            path.write_text(
                f"# {topic} rules\n\nThe {topic} rule of team {number} is code-{number:03} after {number} days."
            )
            index.add([path], scopes)
            rights[f"code-{number:03}"] = scopes
        yield index, rights


def questions(chance: random.Random) -> str:
    """Topics, exact codes of any document, and words that match the index's own inner ones."""
    topic, number = chance.choice(TOPICS), chance.randrange(40)
    return chance.choice(
        [f"what is the {topic} rule?", f"code-{number:03}", f"{topic} code-{number:03}", "workspace scopes channel",
         f'" OR body : {topic}', f"team {number} * NEAR({topic})", "channel:C1 AND scopes", "rule"]
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["chroma", "exact"])
def test_no_question_brings_back_what_its_asker_may_not_read(
    library: tuple[Index, dict[str, frozenset[str]]], kind: str
) -> None:
    """Thousands of random questions with random rights, every leg alone and together: not one leak."""
    index, rights = library
    if kind == "exact":
        exact = ExactVectors(index.store, index.embed.name, index.embed.dim)
        exact.catch_up()
        index = Index(index.store, exact, index.embed)
    chance = random.Random(kind)
    legs = [
        SearchWeights(),
        SearchWeights(exact=0, words=0),
        SearchWeights(meaning=0),
        SearchWeights(words=0, meaning=0),
    ]
    count = 0
    for _ in range(TRIES):
        scopes = frozenset(chance.sample([*CHANNELS, "workspace", "channel:CNONE"], chance.randint(0, 8)))
        for passage in retrieve(
            index, questions(chance), scopes, chance.choice([1, 8, 40]), chance.choice(legs)
        ):
            code = passage.text.split("is ")[1].split(" after")[0]
            assert rights[code] & scopes, (passage.text, scopes)
            count += 1
    assert count > TRIES


def test_many_scopes_are_searched_at_once_and_stay_closed(
    library: tuple[Index, dict[str, frozenset[str]]],
) -> None:
    """Seven scopes of which one cannot be read: the nearest are those of an exact search, and none is of that one."""
    index, _ = library
    exact = ExactVectors(index.store, index.embed.name, index.embed.dim)
    exact.catch_up()
    members = keys_by_scope(index.store)
    for closed in CHANNELS:
        scopes = frozenset({*CHANNELS, "workspace", "channel:CNONE"}) - {closed}
        readable = set().union(*(members[scope] for scope in scopes if scope in members))
        for topic in TOPICS:
            row = index.embed([f"{topic} rules"])[0]
            nearest = index.nearest(row, scopes, 5)
            assert set(nearest) <= readable
            assert (
                len(set(nearest) & set(exact.search(row, scopes, 5))) >= 4
            )  # equal distances may change places


def test_closing_a_document_off_works_at_once(library: tuple[Index, dict[str, frozenset[str]]]) -> None:
    """Even a search whose vectors have not caught up shows it to nobody else."""
    index, _ = library
    document = next(d for d in index.documents() if "workspace" in d.scopes)
    index.store.set_scopes(document.id, frozenset({"channel:C0"}))
    row = index.embed([document.title])[0]
    stale = index._vectors.search(row, frozenset({"workspace"}), 40)
    assert stale
    passages = retrieve(index, document.title, frozenset({"workspace"}), 40)
    assert document.id not in {passage.doc_id for passage in passages}
    index.share(document.id, frozenset({"workspace"}))


@pytest.mark.parametrize("scope", ["", "channel:", "channel:C1 workspace", "everyone", "channel:C1' OR 1=1"])
def test_a_scope_that_is_none_is_refused(
    library: tuple[Index, dict[str, frozenset[str]]], scope: str
) -> None:
    """A malformed right gives nothing, loudly."""
    with pytest.raises(RagError, match="Unknown audience"):
        check_scopes([scope])
    with pytest.raises(RagError, match="Unknown audience"):
        retrieve(library[0], "refund", frozenset({scope}))
