"""Prints a job's report, and the progress of a pipeline in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bot.cli.console import console

if TYPE_CHECKING:
    from finetune.reports.finetune import Example
    from finetune.reports.parts import SystemLine

EXAMPLES_SHOWN = 2
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]


def run_with_progress(
    work: Callable[[Callable[[dict[str, Any]], None]], dict[str, Any]], quiet: bool = False
) -> dict[str, Any]:
    """Runs a pipeline in this process with a progress bar (none if `quiet`)."""
    from bot.cli.output import JobProgress

    if quiet:
        return work(lambda event: None)
    with JobProgress(console) as bar:
        return work(bar.show)


def show_report(data: dict[str, Any], folder: Path | None, as_json: bool) -> None:
    """Prints the report as a table with its headline, or as one JSON object."""
    from finetune.reports import FinetuneReport, TrialReport, read_report
    from finetune.reports.deployment import DeploymentReport

    report = read_report(data)
    if as_json or report is None:
        console.out(json.dumps(data), highlight=False)
        return
    console.print(f"[bold]{escape(report.headline)}[/bold]", highlight=False)
    if isinstance(report, TrialReport | DeploymentReport):
        return
    changes: tuple[str, ...] = ()
    if isinstance(report, FinetuneReport):
        systems, cautions = report.systems, report.notes
        if report.why:
            console.print(escape(" ".join(report.why)), highlight=False)
    else:
        systems, cautions = report.ladder, report.warnings
        changes = report.would_change
    print_systems(systems)
    for caution in cautions:
        console.print(f"[yellow]! {escape(caution)}[/yellow]", highlight=False)
    for change in changes:
        console.print(f"• {escape(change)}", highlight=False)
    if isinstance(report, FinetuneReport):
        against = report.difference.against if report.difference else "baseline"
        for example in report.examples[:EXAMPLES_SHOWN]:
            console.print(example_lines(example, against), highlight=False, markup=False)
    if report.dataset.split:
        console.print(f"[dim]Rows: {escape(report.dataset.split)}[/dim]", highlight=False)
    if folder:
        plots = ", ".join(plot.file for plot in report.plots)
        console.print(
            f"[dim]Everything, with {plots or 'no pictures'}, is in {folder}[/dim]", highlight=False
        )
        if isinstance(report, FinetuneReport):
            console.print(f'Try it: trainwise try {folder.name} "a ticket"', highlight=False, markup=False)


def print_systems(systems: Sequence[SystemLine]) -> None:
    """Prints the table of systems."""
    from bot.cli.output import measures_of, system_rows

    measures = measures_of(systems)
    table = Table("system", *(f"{title} %" for title in measures.values()), box=None)
    for row in system_rows(systems, tuple(measures)):
        table.add_row(*row)
    console.print(table)


def example_lines(example: Example, against: str) -> str:
    """A held-out ticket with the replies of people, of the trained model and of the best baseline."""
    sides = (
        ("your team", example.real),
        ("trained model", example.tuned),
        (against.lower(), example.baseline),
    )
    lines = [f"  {name}: {' '.join(text.split())[:200] or '(empty)'}" for name, text in sides]
    return "\n".join([f"… {' '.join(example.ticket.split())[-160:]}", *lines])
