"""`trainwise eval`: measures the quality of the answers on this machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from bot.cli.console import console, existing_path, settings

if TYPE_CHECKING:
    from rag.evaluation.advice import Outcome

app = typer.Typer(no_args_is_help=True, help="Measure the answers, here and now.")


@app.callback()
def group() -> None:
    """Measure the answers, here and now."""


@app.command()
def advice(
    file: Annotated[
        Path, typer.Argument(help="JSONL: question (or turns), optional context, verdict or accept.")
    ],
    first_sight: Annotated[
        bool, typer.Option("--first-sight", help="Only the share right with nothing confirmed.")
    ] = False,
    one_tap: Annotated[
        bool, typer.Option("--one-tap", help="Also with the single best correction, from `gold` in the row.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score the embedded readers and the decision table on labelled questions and conversations."""
    from rag.advice.moves import MoveReader
    from rag.evaluation.advice import by_signal, confusion, evaluate, read_rows
    from rag.evaluation.readers import load_reader
    from rag.reply import Verdict
    from rag.search.embedding import load_embedder

    cache = settings().home / "cache"
    embed = load_embedder(cache)
    evaluation = evaluate(
        read_rows(existing_path(file)), load_reader(embed, cache), MoveReader(embed), taps=one_tap
    )
    if as_json:
        console.out(json.dumps(evaluation.to_json()), highlight=False)
        return
    if not first_sight:
        verdicts = [str(verdict) for verdict in Verdict]
        counts = confusion(evaluation)
        moves = sorted({name for pair in counts for name in pair} - set(verdicts))
        console.print(confusion_table(counts, [*verdicts, *moves]))
        if families := [outcome for outcome in evaluation.outcomes if outcome.family]:
            console.print("", family_table(families))
        if signals := by_signal(evaluation):
            console.print("", signal_table(signals))
        for outcome in evaluation.outcomes:
            if not outcome.right:
                tap = f", right with {outcome.tap} corrected" if outcome.tap else ""
                console.print(
                    f"{outcome.id}: {' or '.join(outcome.accept)}, got [red]{outcome.actual}[/red]{tap}"
                )
    n = len(evaluation.outcomes)
    console.print(f"{evaluation.right} of {n} right at first sight ({evaluation.right / max(n, 1):.1%})")
    if one_tap:
        right = evaluation.right_with_tap
        console.print(f"{right} of {n} right with one tap ({right / max(n, 1):.1%})")


@app.command()
def feedback(
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the rows here instead of printing.")
    ] = None,
) -> None:
    """Turn the thumbs of Slack into evaluation rows, one JSON object a line."""
    from bot.slack.feedback_log import evaluation_rows, read_feedback

    rows = evaluation_rows(read_feedback(settings().home))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if out is None:
        console.out(lines, end="", highlight=False)
        return
    out.write_text(lines, encoding="utf-8")
    console.print(f"{len(rows)} rows in {out}. Score them: trainwise eval advice {out}", highlight=False)


@app.command()
def forecast(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Set every kept forecast beside what came: coverage of the 90% band, and the error."""
    from bot.slack.delivery.job_completion import FORECASTS
    from finetune.measurement.forecast_log import ForecastLog, pair_json, summary

    log = ForecastLog(settings().home / FORECASTS)
    pairs = log.pairs()
    result = {"forecasts": log.count(), **summary(pairs)}
    if as_json:
        console.out(json.dumps({**result, "each": [pair_json(pair) for pair in pairs]}), highlight=False)
        return
    if not pairs:
        console.print(
            f"{result['forecasts']} forecasts are kept, and no run has come to any of them yet. Measure a "
            "dataset, then fine-tune on it or on its next version."
        )
        return
    table = Table("dataset", "method", "tickets", "forecast %", "90% band", "came %", "off", box=None)
    for pair in pairs:
        row = pair_json(pair)
        mark = "" if row["covered"] else "[red]outside[/red] "
        cells = [f"{row['rows']:,}", f"{row['forecast']:.1f}", f"{row['low']:.1f}-{row['high']:.1f}"]
        table.add_row(
            row["dataset"],
            row["method"],
            *cells,
            f"{row['came']:.1f}",
            f"{mark}{row['error_points']:+.1f}",
        )
    console.print(table)
    console.print(
        f"{result['pairs']} forecasts met their outcome: {100 * result['coverage']:.0f}% inside the 90% band, "
        f"median error {result['median_abs_error_points']:.1f} points, bias {result['bias_points']:+.1f}"
    )


@app.command()
def retrieval(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score the search on labelled questions over the guide and sample documents, each part switched off in turn."""
    from rag.evaluation.retrieval import measure, read_rows
    from rag.search.embedding import load_embedder

    result = measure(load_embedder(settings().home / "cache"), read_rows())
    if as_json:
        console.out(json.dumps(result), highlight=False)
        return
    for cut, title in (("sections", "a passage per section"), ("long_passages", "headings taken out")):
        console.print(f"\n{title}: {result[cut]['passages']} passages")
        console.print(_retrieval_table(result[cut]["switches"]))
        figures = [
            f"{kind} {one['refused']:.0%} refused, {one['right_source_cited']:.0%} with a right source"
            for kind, one in result[cut]["answers"].items()
        ]
        console.print("the embedded answer: " + "; ".join(figures), highlight=False)
    console.print(
        f"{result['n']} questions, {result['near_misses']} of them without an answer; refused: near misses scoring "
        "below 95% of the answerable questions."
    )


def _retrieval_table(switches: Mapping[str, Any]) -> Table:
    columns = ("recall@5", "MRR", "nDCG@10", "paraphrased", "identifiers", "refused", "p50 ms", "p95 ms")
    table = Table("search", *columns, box=None)
    for name, figures in switches.items():
        kinds = [f"{figures['kinds'][kind]['ndcg_at_10']:.3f}" for kind in ("paraphrase", "identifier")]
        scores = [f"{figures[key]:.3f}" for key in ("recall_at_5", "mrr", "ndcg_at_10")]
        table.add_row(
            name,
            *scores,
            *kinds,
            f"{figures['refused']:.2f}",
            f"{figures['p50_ms']:.1f}",
            f"{figures['p95_ms']:.1f}",
        )
    return table


SHORT = {"foundation_model": "found.", "need_more_info": "more info", "guide_answer": "guide", "small_model": "small",
         "fine_tune": "tune", "off_topic": "off"}  # fmt: skip


def confusion_table(counts: Counter[tuple[str, str]], order: list[str]) -> Table:
    """The confusion table: expected verdicts as rows, predicted ones as columns, errors in red."""
    used = [name for name in order if any(name in pair for pair in counts)]
    table = Table("wanted \\ got", *(SHORT.get(name, name) for name in used), box=None)
    for label in used:
        cells = []
        for verdict in used:
            times = counts[label, verdict]
            cells.append("·" if not times else str(times) if label == verdict else f"[red]{times}[/red]")
        table.add_row(label, *cells)
    return table


def family_table(outcomes: list[Outcome]) -> Table:
    """The table of right answers by family (or language)."""
    right, every = Counter[str](), Counter[str]()
    for outcome in outcomes:
        every[str(outcome.family)] += 1
        right[str(outcome.family)] += outcome.right
    table = Table("family", "right", "of", box=None)
    for name, times in every.items():
        mark = "" if right[name] == times else "[red]"
        table.add_row(name, f"{mark}{right[name]}", str(times))
    return table


def signal_table(counts: Mapping[str, tuple[int, int, int]]) -> Table:
    """The table by signal: right of the labelled ones, and signals read where none is labelled."""
    table = Table("signal", "right", "labelled", "read where none is labelled", box=None)
    for name, (right, labelled, extra) in counts.items():
        table.add_row(name, str(right), str(labelled), str(extra))
    return table
