"""`trainwise eval`: the figures behind the answers, measured here and now."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Measure the answers, the retrieval and the forecasts.")


@app.command()
def placeholder() -> None:
    pass
