"""`trainwise index`: the documents that answers are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bot.cli.console import console, settings

app = typer.Typer(no_args_is_help=True, help="The documents that answers are drawn from.")
ChannelOption = Annotated[list[str] | None, typer.Option("--channel", help="Only for this channel (id).")]


def scopes_of(channels: list[str] | None) -> frozenset[str]:
    """Who may see it: the named channels, or the whole workspace."""
    return frozenset(f"channel:{c}" for c in channels) if channels else frozenset({"workspace"})


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on the terminal that `on_progress(done, total, name)` moves."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda count, total, name: bar.update(
            task, completed=count, total=total, description=name[:60].replace("[", "\\[")
        )


@app.command()
def add(
    sources: Annotated[list[str], typer.Argument(help="Files, folders or https addresses.")],
    channel: ChannelOption = None,
) -> None:
    """Add documents: Markdown, MDX, HTML, PDF, DOCX, PPTX, ODT, ODP, RTF, EPUB, RST, Org, mail (EML, MSG), text, CSV, XLSX, a zip, or a Slack, Notion or Confluence export."""
    from bot.factories import open_index

    with open_index(settings()) as index, progress_bar("indexing") as tell:
        report = index.add(sources, scopes_of(channel), tell)
    show_report(report)
    if report.problems and not report.additions + report.repeats:
        raise typer.Exit(1)


@app.command()
def sync(
    sweep: Annotated[bool, typer.Option("--sweep", help="Remove even if most of a source is gone.")] = False,
) -> None:
    """Bring the index up to date with its sources: only what changed is read and embedded again."""
    from bot.factories import open_index

    with open_index(settings()) as index, progress_bar("syncing") as tell:
        report = index.sync(tell, sweep_many=sweep)
    show_report(report)


@app.command("list")
def list_documents() -> None:
    """List every document with who may see it."""
    from bot.factories import open_index

    table = Table("id", "title", "source", "who may see it", "passages", box=None)
    with open_index(settings()) as index:
        for doc in index.documents():
            table.add_row(doc.id, doc.title, doc.source, ", ".join(sorted(doc.scopes)), str(doc.chunks))
    console.print(table)


@app.command()
def remove(doc_id: str) -> None:
    """Remove a document and all its passages; a sync does not bring it back."""
    from bot.factories import open_index

    with open_index(settings()) as index:
        index.remove(doc_id)
    console.print(f"Removed {doc_id}.")


@app.command()
def share(doc_id: str, channel: ChannelOption = None) -> None:
    """Let exactly these channels see a document, or (without --channel) the whole workspace."""
    from bot.factories import open_index

    with open_index(settings()) as index:
        shared = index.share(doc_id, scopes_of(channel))
    console.print(f"{shared.title}: {', '.join(sorted(shared.scopes))}", markup=False)


def show_report(report: object) -> None:
    console.print(str(report), highlight=False, markup=False)
