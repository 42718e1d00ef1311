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
