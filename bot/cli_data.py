"""`trainwise datasets`: the ticket data that the team shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bot.cli import console, path_to_read, settings
from bot.local import open_datasets, open_ledger, person

app = typer.Typer(no_args_is_help=True, help="The ticket data that the team shares.")


@app.command("list")
def list_datasets() -> None:
    """List the datasets with their size, classes and who may use them."""
    table = Table("name", "version", "rows", "task", "classes", "who may use it", "licence", box=None)
    for card in open_datasets(settings()).list():
        who = ", ".join(card.scopes)
        row = (
            card.name,
            str(card.version),
            str(card.rows),
            card.kind,
            str(len(card.classes)),
            who,
            card.licence,
        )
        table.add_row(*row)
    console.print(table)


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL, Parquet or a Zendesk JSON export.")],
    name: Annotated[str | None, typer.Option(help="Its name here; default: the file's.")] = None,
    licence: Annotated[str, typer.Option(help="Under which terms the team may use it.")] = "internal",
    channel: Annotated[list[str] | None, typer.Option(help="Only for this channel (id).")] = None,
    text: Annotated[str | None, typer.Option(help="The column of the ticket's text.")] = None,
    label: Annotated[str | None, typer.Option(help="The column of the queue or intent.")] = None,
    answer: Annotated[str | None, typer.Option(help="The column of the answer.")] = None,
) -> None:
    """Check a file row by row and keep its good rows; bad ones are written beside it with the reason."""
    from finetune.dataset import read_tickets, write_problems

    given = {key: value for key, value in (("text", text), ("label", label), ("answer", answer)) if value}
    tickets = read_tickets(path_to_read(path), given or None)
    scopes = frozenset(f"channel:{c}" for c in channel) if channel else frozenset({"workspace"})
    chosen = name or path.stem.lower().replace("_", "-").replace(" ", "-")
    card = open_datasets(settings()).keep(tickets, chosen, person(), scopes, licence, source=path.name)
    for note in tickets.notes:
        console.print(f"[dim]{note}[/dim]", highlight=False)
    if tickets.rejected:
        out = path.with_suffix(".problems.csv")
        write_problems(tickets, out)
        console.print(f"[yellow]{len(tickets.rejected)} rows left out:[/yellow] see {out}", highlight=False)
        for problem in tickets.rejected[:5]:
            console.print(f"  {problem}", highlight=False, markup=False)
    show_card(card.name)


@app.command("show")
def show_card(name: str) -> None:
    """Show a dataset's card."""
    card = open_datasets(settings()).get(name)
    for field, value in card.to_json().items():
        console.print(f"[dim]{field:<12}[/dim] {value}", highlight=False)


@app.command()
def remove(name: str) -> None:
    """Erase a dataset's rows and say which models were trained on them."""
    ledger = open_ledger(settings())

    def models_of(digest: str) -> list[str]:
        return [job.id for job in ledger.jobs(limit=10_000) if job.spec.get("digest") == digest]

    gone = open_datasets(settings()).remove(name, person(), models_of)
    console.print(f"Erased {gone.rows} rows of {gone.name}.")
    if gone.models:
        console.print(f"Trained on them: jobs {', '.join(gone.models)}.")
