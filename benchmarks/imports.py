"""What becomes of real files: rows accounted for, kinds of tickets and of documents right, seconds and memory per 100,000 rows beside pandas alone.

`python benchmarks/imports.py`: every file of ../shared/data/files and the data sets beside it, then BANKING77 grown to 100,000 rows;
`--quick`: 20,000 rows; `--large`: instead 1,000,000 rows added whole, as 100 MB and as 2 GB; `--json`. A row is accounted for when it is a ticket or stands among the problems with line, reason and rule.
The kinds' checks are those of tests/finetune/data/test_shared_files.py; a kind of document (tests/rag/document_kinds.py) is right when its question
gets the sentence or the cell, cited. Each timing runs in a process of its own, so memory is its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from finetune.data.reading import read_tickets
from finetune.data.store import DatasetStore, suggest_name
from finetune.data.ticket import DatasetError

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = {
    "banking77/train.csv": {},
    "it_service_tickets/tickets.csv": {},
    "german_tickets/tickets.csv": {},
    "issues_dated/issues.csv": {},
    "sgd_replies/train.jsonl": {},
}


def check_file(path: Path, columns: dict[str, str]) -> dict[str, Any]:
    """One file through the product's import: whether each row is accounted for, and what was made of it."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            card = DatasetStore(folder).add(
                path, suggest_name(path.stem), "me", frozenset({"workspace"}), "", columns
            )
        except DatasetError as refusal:
            return {"refused": str(refusal).split("\n")[0], "accounted": True, "rows": 0}
    report = card.intake
    return {
        "rows": report["rows"],
        "kept": report["kept"],
        "left_out": report["left_out"],
        "characters": report["characters"],
        "redactions": dict(card.redactions),
        "columns": dict(card.columns),
        "accounted": report["rows"] == report["kept"] + sum(report["left_out"].values()),
        "cpu_s": round(time.process_time() - start, 2),
    }


def right_kinds() -> dict[str, bool]:
    """Whether each small file comes out as its README says, by the tests' own checks."""
    from tests.finetune.data.test_shared_files import CHECKS

    results = {}
    for name, check in CHECKS.items():
        path = DATA / "files" / name
        with tempfile.TemporaryDirectory() as folder:
            store = DatasetStore(folder)
            card = store.add(path, suggest_name(path.stem), "me", frozenset({"workspace"}), "")
            rows = list(csv.DictReader(path.open(encoding="utf-8-sig"))) if path.suffix == ".csv" else []
            results[name] = check(card, store.tickets(card.digest), rows)
    return results


def right_documents() -> dict[str, bool]:
    """Whether each kind of document, indexed and asked, gives the sentence or the cell that its question is about."""
    from rag.answer.factual import answer_fact
    from rag.index import Index
    from rag.search.embedding import load_embedder
    from rag.search.retrieval import retrieve
    from tests.rag.document_kinds import KINDS, make_file

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        embed = load_embedder(Path(folder) / "cache")
        files = Path(folder) / "files"
        files.mkdir()
        with Index.open(Path(folder) / "index", embed) as index:
            index.add([make_file(kind, files) for kind in KINDS], frozenset({"channel:all"}))
            for kind in KINDS:
                scopes = frozenset({f"channel:{kind.name.replace('.', '-')}"})
                for document in index.documents(frozenset({"channel:all"})):
                    if Path(document.root).name == kind.name:
                        index.share(document.id, scopes)
                answer = answer_fact(kind.question, retrieve(index, kind.question, scopes), embed).answer
                first = answer.claims[0].text if answer.claims else ""
                wrong = bool(kind.never) and kind.never in first
                results[kind.name] = kind.says in first and not wrong
    return results


def grow(path: Path, rows: int, sentences: int = 1) -> int:
    """BANKING77 with a number behind each text, so that no row is a copy; its size in bytes."""
    with (DATA / "banking77" / "train.csv").open(newline="", encoding="utf-8") as stream:
        source = list(csv.DictReader(stream))
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "text", "category", "status"])
        for at in range(rows):
            row = source[at % len(source)]
            more = (source[(at * (7 + one) + one) % len(source)]["text"] for one in range(1, sentences))
            text = " ".join((row["text"], *more))
            writer.writerow([at, f"{text} ({at // len(source)})", row["category"], "open"])
    return path.stat().st_size


def measure(work: str, path: Path) -> dict[str, float]:
    """CPU seconds and peak memory of one way to read the file, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (work, str(path)))


def _measure(work: str, path: str) -> dict[str, Any]:
    start, facts = time.process_time(), {}
    if work == "pandas":
        import pandas

        start = time.process_time()
        pandas.read_csv(path)
    elif work == "add":
        facts = _add(Path(path))
    else:
        from finetune.data.prepare import prepare

        tickets = read_tickets(Path(path))
        if work == "read, clean and redact":
            prepare(tickets)
    return {"cpu_s": round(time.process_time() - start, 2), "mb_in_all": round(peak_mb()), **facts}


def _add(path: Path) -> dict[str, Any]:
    """The whole of `trainwise datasets add`: every row of the report accounted for, and the rows stored."""
    from finetune.data.importing import ImportOrder, add_file

    everyone = frozenset({"workspace"})
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        places = f"{folder}/store", Path(folder) / "imports", path, "large"
        order = ImportOrder(*places, "me", everyone, "", {}, Path(folder) / "problems.csv")
        card = add_file(order, _tell)
    report = card.intake
    is_whole = report["rows"] == report["kept"] + sum(report["left_out"].values())
    return {"rows": report["rows"], "kept": report["kept"], "accounted": is_whole}


def _tell(event: dict[str, Any]) -> None:
    if event["kind"] == "phase":
        print(f"    {event['phase']} at {time.process_time():.0f} CPU-s, {peak_mb():.0f} MB", file=sys.stderr)


def peak_mb() -> float:
    """This process's peak memory in MB; a child counts from its own start."""
    status = Path("/proc/self/status")
    if not status.is_file():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def large(folder: Path, rows: int, sentences: int) -> dict[str, Any]:
    """A large file added whole, beside pandas reading it: seconds and memory per 100,000 rows."""
    path = folder / "large.csv"
    size = grow(path, rows, sentences)
    result: dict[str, Any] = {"rows": rows, "mb": round(size / 1e6)}
    for work in ("pandas", "add"):
        result[work] = measure(work, path)
        line, per = result[work], 100_000 / rows
        print(
            f"{rows:,} rows, {size / 1e6:,.0f} MB, {work}: {line['cpu_s']} CPU-s ({line['cpu_s'] * per:.1f} per 100,000), "
            f"{line['mb_in_all']:,} MB in all ({line['mb_in_all'] * per:.0f} per 100,000)"
            + (f"; every row accounted for: {line['accounted']}" if "accounted" in line else "")
        )
    path.unlink()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sentences", default="1,30", help="of a row, one run each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"skipped: no shared data at {DATA}")
        return
    if options.large:
        with tempfile.TemporaryDirectory() as folder:
            runs = [large(Path(folder), options.rows, int(one)) for one in options.sentences.split(",")]
        if options.json:
            print(json.dumps(runs))
        return
    kinds = right_kinds()
    print(
        f"kinds right: {sum(kinds.values())} of {len(kinds)}; wrong: {[name for name, right in kinds.items() if not right]}"
    )
    documents = right_documents()
    print(
        f"kinds of documents right: {sum(documents.values())} of {len(documents)}; wrong: {[name for name, right in documents.items() if not right]}"
    )
    names = [path.name for path in sorted((DATA / "files").glob("K*")) if path.suffix not in (".html", ".md")]
    files: dict[str, Any] = {name: check_file(DATA / "files" / name, {}) for name in names}
    for name, columns in (dict(list(SETS.items())[-2:]) if options.quick else SETS).items():
        files[name] = check_file(DATA / name, columns)
        print(f"{name}: {json.dumps(files[name])}")
    rows = sum(line["rows"] for line in files.values())
    print(
        f"rows accounted for: {sum(line['rows'] for line in files.values() if line['accounted']):,} of {rows:,}"
    )
    size = 20_000 if options.quick else 100_000
    speed: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.csv"
        print(f"{size:,} rows, {grow(path, size) / 1e6:.1f} MB:")
        for work in ("pandas", "read", "read, clean and redact"):
            speed[work] = measure(work, path)
            print(f"  {work}: {speed[work]['cpu_s']} CPU-s, {speed[work]['mb_in_all']} MB in all")
    if options.json:
        print(
            json.dumps({"kinds": kinds, "documents": documents, "files": files, "rows": size, "speed": speed})
        )


if __name__ == "__main__":
    main()
