"""Our index against langchain-chroma with its defaults: same machine, same run, same texts, same questions.

Indexing is timed whole (files or texts in, searchable out) on real prose of about 180 wordpieces a passage. The
larger stores get prepared vectors (embedding 100,000 passages with the baseline takes hours): real vectors with
noise; every question is embedded for real by both. Filtered: each passage belongs to one of 50 teams; the asker
may see 2 or 25 of them. `--quick`: 1,000 passages only, under a minute.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.chroma_default import Embeddings, default_embedder, open_store
from rag.index import GUIDE, Index
from rag.search.chunking import Chunk
from rag.search.embedding import MiniLM, load_embedder
from rag.search.retrieval import retrieve
from rag.search.store import Document

DATA = Path(__file__).parents[1] / "rag" / "data"
TEAMS = [f"channel:C{n}" for n in range(50)]
PER_DOCUMENT = 10
Search = Callable[[str], object]


class Texts:
    """Passages of about 180 wordpieces, shuffled from real sentences, each with a code of its own."""

    def __init__(self, embed: MiniLM, n: int) -> None:
        chance = random.Random(5)
        prose = [path for folder in (GUIDE, DATA) for path in sorted(folder.glob("*.md"))]
        lines = [line for path in prose for line in path.read_text().splitlines() if len(line) > 60]
        rare = [f"{chance.choice('bcdfglmnprst')}{chance.choice('aeiou')}{n:x}" for n in range(4000)]
        self.texts: list[str] = []
        for number in range(n):
            parts = [f"Case {number} of {chance.choice(rare)}.", *chance.sample(lines, 8)]
            words = " ".join(parts).split()
            self.texts.append(" ".join(words[: 118 + chance.randrange(20)]))
        some = embed(self.texts[: min(n, 300)])
        noise = np.random.default_rng(5)
        rows = some[noise.integers(0, len(some), n)] + 0.04 * noise.standard_normal((n, embed.dim))
        self.rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        self.teams = [TEAMS[(number // PER_DOCUMENT) % len(TEAMS)] for number in range(n)]

    def questions(self, n: int) -> list[str]:
        chance = random.Random(11)
        passages = [chance.choice(self.texts).split() for _ in range(n)]
        starts = [chance.randrange(4, 60) for _ in range(n)]
        return [
            " ".join(words[at : at + chance.randrange(6, 14)])
            for words, at in zip(passages, starts, strict=True)
        ]


def times(search: Search, questions: Sequence[str]) -> dict[str, float]:
    """p50 and p95 in ms, and CPU-ms per question (which a busy machine changes least), after a warm-up."""
    for question in questions[:5]:
        search(question)
    durations, cpu = [], time.process_time()
    for question in questions[5:]:
        begin = time.perf_counter()
        search(question)
        durations.append(1000 * (time.perf_counter() - begin))
    cpu = 1000 * (time.process_time() - cpu) / len(durations)
    p50, p95 = (round(float(np.quantile(durations, share)), 1) for share in (0.5, 0.95))
    return {"p50_ms": p50, "p95_ms": p95, "cpu_ms": round(cpu, 1)}


def indexing(folder: Path, embed: MiniLM, default: Any, texts: Sequence[str]) -> dict[str, Any]:
    """Passages a second, from files (ours) and from texts (theirs) to searchable, on every core."""
    docs = folder / "indexing"
    docs.mkdir()
    for at in range(0, len(texts), PER_DOCUMENT):
        body = "\n\n".join(f"## Case {n}\n\n{text}" for n, text in enumerate(texts[at : at + PER_DOCUMENT]))
        (docs / f"{at}.md").write_text(f"# Cases from {at}\n\n{body}\n")
    with Index.open(folder / "ours-indexing", embed) as index:
        begin, cpu = time.perf_counter(), time.process_time()
        index.add([docs], frozenset({"workspace"}))
        ours, our_cpu = time.perf_counter() - begin, time.process_time() - cpu
        chunks = index.stats().chunks
    store = open_store(folder / "theirs-indexing", Embeddings(default))
    begin, cpu = time.perf_counter(), time.process_time()
    store.add_texts(list(texts))
    theirs, their_cpu = time.perf_counter() - begin, time.process_time() - cpu
    return {
        "passages": len(texts),
        "ours_per_s": round(chunks / ours, 1), "theirs_per_s": round(len(texts) / theirs, 1),
        "ours_cpu_ms": round(1000 * our_cpu / chunks, 1), "theirs_cpu_ms": round(1000 * their_cpu / len(texts), 1),
    }  # fmt: skip


def fill_ours(folder: Path, embed: MiniLM, texts: Texts) -> tuple[Index, float]:
    """The index with prepared vectors, and the seconds that storing and feeding Chroma took."""
    index = Index.open(folder, embed)
    begin = time.perf_counter()
    for at in range(0, len(texts.texts), PER_DOCUMENT):
        chunks = [Chunk(n, "Cases", text, 0, 0) for n, text in enumerate(texts.texts[at : at + PER_DOCUMENT])]
        rows = {
            c.digest: (texts.rows[at + c.position], texts.rows[at + c.position : at + c.position + 1])
            for c in chunks
        }
        scopes = frozenset({texts.teams[at], "workspace"})
        own = f"doc{at}"
        document = Document(own, own, own, own, None, scopes, "", own, own, item=own)
        index.store.write_document(document, "", chunks, rows, embed.name)
    index._vectors.catch_up()
    return index, time.perf_counter() - begin


def fill_theirs(folder: Path, default: Any, texts: Texts) -> tuple[Any, float]:
    embeddings = Embeddings(default, dict(zip(texts.texts, texts.rows, strict=True)))
    store = open_store(folder, embeddings)
    begin = time.perf_counter()
    for at in range(0, len(texts.texts), 1000):
        part = slice(at, at + 1000)
        store.add_texts(texts.texts[part], [{"team": team} for team in texts.teams[part]])
    return store, time.perf_counter() - begin


def searching(
    folder: Path, embed: MiniLM, default: Any, n: int, question_count: int, tries: int
) -> dict[str, Any]:
    """Question to eight passages: all of the workspace, 2 teams, 25 teams; and leaks in random tries."""
    texts = Texts(embed, n)
    questions = texts.questions(question_count)
    index, our_fill = fill_ours(folder / f"ours-{n}", embed, texts)
    store, their_fill = fill_theirs(folder / f"theirs-{n}", default, texts)
    figures: dict[str, Any] = {
        "passages": n,
        "fill_s": {"ours": round(our_fill, 1), "theirs": round(their_fill, 1)},
    }
    everyone = frozenset({"workspace"})
    figures["all"] = {
        "ours": times(lambda q: retrieve(index, q, everyone), questions),
        "theirs": times(lambda q: store.similarity_search(q, k=8), questions),
    }
    for name, few in (("2 of 50 teams", TEAMS[:2]), ("25 of 50 teams", TEAMS[:25])):
        where = {"team": {"$in": few}}
        figures[name] = {
            "ours": times(lambda q, few=few: retrieve(index, q, frozenset(few)), questions),  # type: ignore[misc]
            "theirs": times(lambda q, where=where: store.similarity_search(q, k=8, filter=where), questions),  # type: ignore[misc]
        }
    figures["leaks"] = leaks(index, texts, tries)
    figures["tries"] = tries
    sizes = {
        name: sum(f.stat().st_size for f in (folder / f"{name}-{n}").rglob("*") if f.is_file())
        for name in ("ours", "theirs")
    }
    figures["disk_mb"] = {name: round(size / 1e6) for name, size in sizes.items()}
    index.close()
    return figures


def leaks(index: Index, texts: Texts, tries: int) -> int:
    """Passages of teams that the asker is not in, over random questions and rights."""
    chance = random.Random(3)
    team_of = dict(zip(texts.texts, texts.teams, strict=True))
    questions = texts.questions(50)
    count = 0
    for _ in range(tries):
        few = frozenset(chance.sample(TEAMS, chance.randint(1, 5)))
        count += sum(team_of[p.text] not in few for p in retrieve(index, chance.choice(questions), few))
    return count


def syncing(folder: Path, embed: MiniLM, default: Any, n: int) -> dict[str, Any]:
    """A second look at `n` documents of which none changed: ours by stamp, theirs by langchain's `index()`."""
    from langchain_core.documents import Document as Page
    from langchain_core.indexing import InMemoryRecordManager
    from langchain_core.indexing import index as langchain_index

    docs = folder / "sync"
    docs.mkdir()
    texts = [f"# Note {n}\n\nThe answer to question {n} is {n * 7}." for n in range(n)]
    for number, text in enumerate(texts):
        (docs / f"{number}.md").write_text(text)
    row = embed(texts[:1])[0]
    embedder = OneVector(embed, row)
    with Index.open(folder / "ours-sync", embedder) as index:
        index.add([docs], frozenset({"workspace"}))
        embedder.embedded = 0
        begin = time.perf_counter()
        index.sync()
        ours = {"s": round(time.perf_counter() - begin, 2), "embedded": embedder.embedded}
    embeddings = Embeddings(default, dict.fromkeys(texts, row))
    store = open_store(folder / "theirs-sync", embeddings)
    records = InMemoryRecordManager("docs")
    records.create_schema()
    pages = [Page(text, metadata={"source": str(docs / f"{number}.md")}) for number, text in enumerate(texts)]
    for _ in range(2):
        embeddings.embedded = 0
        begin = time.perf_counter()
        langchain_index(
            pages, records, store, cleanup="incremental", source_id_key="source", key_encoder="sha256"
        )
    theirs = {"s": round(time.perf_counter() - begin, 2), "embedded": embeddings.embedded}
    return {"documents": n, "ours": ours, "theirs": theirs}


class OneVector(MiniLM):
    """One vector for every text, and a count of the texts."""

    def __init__(self, inner: MiniLM, row: np.ndarray) -> None:
        self.name, self.row, self.embedded, self.count_tokens = inner.name, row, 0, inner.count_tokens  # type: ignore[method-assign]

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded += len(texts)
        return np.repeat(self.row[None, :], len(texts), axis=0)


def show(result: dict[str, Any]) -> None:
    """The table for docs/quality.md."""
    print(
        f"{result['date']}, {result['machine']}\n\n| | ours | langchain-chroma | ratio |\n|---|---|---|---|"
    )
    indexing = result["indexing"]
    ratio = indexing["ours_per_s"] / indexing["theirs_per_s"]
    print(
        f"| indexing, passages a second | {indexing['ours_per_s']} | {indexing['theirs_per_s']} | {ratio:.1f}x |"
    )
    for size in result["sizes"]:
        for name in ("all", "2 of 50 teams", "25 of 50 teams"):
            ours, theirs = size[name]["ours"], size[name]["theirs"]
            cells = [f"{one['p50_ms']} / {one['p95_ms']} ({one['cpu_ms']})" for one in (ours, theirs)]
            ratio = theirs["p50_ms"] / ours["p50_ms"]
            print(
                f"| question to passages, {size['passages']:,}, {name}, p50/p95 (CPU) ms | {cells[0]} | {cells[1]} | {ratio:.1f}x |"
            )
        print(
            f"| storing {size['passages']:,} with vectors given, s | {size['fill_s']['ours']} | {size['fill_s']['theirs']} | |"
        )
        print(
            f"| disk for {size['passages']:,}, MB | {size['disk_mb']['ours']} | {size['disk_mb']['theirs']} | |"
        )
        print(f"| leaks in {size['tries']:,} random tries, {size['passages']:,} | {size['leaks']} | | |")
    sync = result["sync"]
    cells = [f"{sync[name]['s']} s, {sync[name]['embedded']} embedded" for name in ("ours", "theirs")]
    print(f"| unchanged sync of {sync['documents']:,} documents | {cells[0]} | {cells[1]} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--embedded", type=int, default=600, help="passages for the indexing rate")
    parser.add_argument("--notes", type=int, default=10_000, help="documents for the unchanged sync")
    parser.add_argument("--asked", type=int, default=105, help="questions per search, 5 of them to warm up")
    parser.add_argument("--tries", type=int, default=10_000, help="random tries for a leak")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.embedded, options.notes, options.asked, options.tries = (
            "1000",
            96,
            500,
            45,
            500,
        )
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        embed = load_embedder(folder / "cache")
        default = default_embedder(folder / "default")
        texts = Texts(embed, options.embedded).texts
        result: dict[str, Any] = {
            "date": datetime.date.today().isoformat(),
            "machine": f"{os.cpu_count()}-core {platform.machine()}, load {os.getloadavg()[0]:.1f}",
            "indexing": indexing(folder, embed, default, texts),
            "sync": syncing(folder, embed, default, options.notes),
            "sizes": [searching(folder, embed, default, n, options.asked, options.tries) for n in sizes],
        }
    show(result)
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
