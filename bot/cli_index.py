"""`trainwise index`: the documents that answers are drawn from."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from bot.cli import console, settings
from bot.local import open_index

app = typer.Typer(no_args_is_help=True, help="The documents that answers are drawn from.")
ChannelOption = Annotated[list[str] | None, typer.Option("--channel", help="Only for this channel (id).")]


def scopes_of(channels: list[str] | None) -> frozenset[str]:
    """Who may see it: the named channels, or the whole workspace."""
    return frozenset(f"channel:{c}" for c in channels) if channels else frozenset({"workspace"})


@app.command()
def add(
    sources: Annotated[list[str], typer.Argument(help="Files, folders or https addresses.")],
    channel: ChannelOption = None,
) -> None:
    """Add documents: Markdown, HTML, PDF, DOCX, PPTX, text, CSV FAQ, a zip, a Slack or Notion export."""
    with open_index(settings()) as index, Progress(console=console) as bar:
        task = bar.add_task("indexing", total=None)
        report = index.add(
            sources,
            scopes_of(channel),
            lambda done, total, name: bar.update(task, completed=done, total=total, description=name),
        )
    show_report(report)


@app.command()
def sync() -> None:
    """Bring the index up to date with its sources: only what changed is embedded again."""
    with open_index(settings()) as index, Progress(console=console) as bar:
        task = bar.add_task("syncing", total=None)
        report = index.sync(
            lambda done, total, name: bar.update(task, completed=done, total=total, description=name)
        )
    show_report(report)


@app.command("list")
def list_documents() -> None:
    """List every document with who may see it."""
    table = Table("id", "title", "source", "who may see it", "passages", box=None)
    with open_index(settings()) as index:
        for doc in index.documents():
            table.add_row(doc.id, doc.title, doc.source, ", ".join(sorted(doc.scopes)), str(doc.chunks))
    console.print(table)


@app.command()
def remove(doc_id: str) -> None:
    """Remove a document and all its passages."""
    with open_index(settings()) as index:
        index.remove(doc_id)
    console.print(f"Removed {doc_id}.")


def show_report(report: object) -> None:
    console.print(str(report), highlight=False)
