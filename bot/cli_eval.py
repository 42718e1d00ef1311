"""`trainwise eval`: the figures behind the answers, measured here and now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bot.cli import console, path_to_read, settings

app = typer.Typer(no_args_is_help=True, help="Measure the answers, here and now.")


@app.callback()
def group() -> None:
    """Measure the answers, here and now."""


@app.command()
def advice(
    file: Annotated[Path, typer.Argument(help="JSONL: question, optional context, verdict or accept.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score the embedded reader and the decision table on labelled questions."""
    from rag.embed import load_embedder
    from rag.evaluate_advice import confusion, evaluate, read_rows
    from rag.read_embedded import EmbeddedReader

    result = evaluate(read_rows(path_to_read(file)), EmbeddedReader(load_embedder(settings().home / "cache")))
    if as_json:
        console.out(json.dumps(result), highlight=False)
        return
    table = Table("wanted", "got", "times", box=None)
    for (wanted, got), times in sorted(confusion(result).items()):
        table.add_row(wanted, got if got == wanted else f"[red]{got}", str(times))
    console.print(table)
    console.print(f"{result['right']} of {result['n']} right")


@app.command()
def forecast(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Set every kept forecast beside what came: coverage of the 90% band, and the error."""
    from bot.aftermath import FORECASTS
    from finetune.forecast_log import ForecastLog, pair_json, summary

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
        made = pair_json(pair)
        mark = "" if made["covered"] else "[red]outside[/red] "
        cells = [f"{made['rows']:,}", f"{made['forecast']:.1f}", f"{made['low']:.1f}-{made['high']:.1f}"]
        table.add_row(
            made["dataset"],
            made["method"],
            *cells,
            f"{made['came']:.1f}",
            f"{mark}{made['error_points']:+.1f}",
        )
    console.print(table)
    console.print(
        f"{result['pairs']} forecasts met their outcome: {100 * result['coverage']:.0f}% inside the 90% band, "
        f"median error {result['median_abs_error_points']:.1f} points, bias {result['bias_points']:+.1f}"
    )
