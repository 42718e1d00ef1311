"""`trainwise measure`: measures a dataset or a file on this machine and prints the verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bot.cli.columns import Several
from bot.cli.console import console, existing_path, settings
from bot.cli.report import AsJson, run_with_progress

if TYPE_CHECKING:
    from bot.settings import Settings
    from finetune.data.ticket import Tickets
    from finetune.measurement.evidence import Evidence
    from finetune.reports.costs import BusinessPart, CostPart
    from finetune.reports.history import FinishedJob
    from finetune.reports.measurement import ForecastPart, MeasurementReport


def register(root: typer.Typer) -> None:
    """Add the command to `trainwise`."""
    root.command()(measure)


def measure(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a file.")] = "sample-tickets",
    target: Annotated[float, typer.Option(help="Score that is good enough, 0 to 1.")] = 0.9,
    volume: Annotated[int, typer.Option(help="Tickets per month.")] = 0,
    price_per_wrong: Annotated[float | None, typer.Option(help="Dollars that a wrong answer costs.")] = None,
    minutes_by_hand: Annotated[float | None, typer.Option(help="Minutes to handle a ticket by hand.")] = None,
    error_rate: Annotated[
        float | None, typer.Option(help="Share of wrong answers you accept, 0 to 1.")
    ] = None,
    metric: Annotated[str, typer.Option(help="accuracy or macro_f1.")] = "accuracy",
    text_column: Annotated[str | None, typer.Option(help="Of a file: the column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of a file: the column of the queue.")] = None,
    part: Annotated[
        str | None, typer.Option(help="Of a file: the workbook's sheet or the archive's file.")
    ] = None,
    several: Several = "",
    llm_usd: Annotated[float, typer.Option(help="Most to spend on prompts, if a model is set.")] = 0.5,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="Run the fine-tune pilot, however long it takes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score the cheap alternatives, train a pilot, forecast the full run and its price; decide."""
    from bot.factories import load_prices, open_measurement_llm
    from bot.slack.delivery.job_completion import FORECASTS
    from finetune.measurement.findings import MeasureContext, Request
    from finetune.measurement.forecast_log import ForecastLog
    from finetune.measurement.run import measure as run
    from finetune.reports.measurement import MeasurementReport

    home_settings = settings()
    llm = open_measurement_llm(home_settings, llm_usd)
    columns = {"text": text_column, "label": label_column}
    tickets, name = tickets_of(home_settings, dataset, columns, part, several, quiet=as_json)
    request = Request(
        target,
        volume,
        price_per_wrong,
        metric,
        minutes_by_hand=minutes_by_hand,
        error_rate=error_rate,
        whole_pilot=pilot,
    )
    folder = home_settings.home / "runs" / f"measure-{tickets.digest[:12]}-{int(time.time())}"
    report = run_with_progress(
        lambda emit: run(
            tickets,
            request,
            MeasureContext(
                folder,
                load_prices(home_settings),
                emit,
                lambda: None,
                llm,
                earlier_evidence(home_settings, tickets.digest),
                name,
            ),
        ),
        quiet=as_json,
    )
    ForecastLog(home_settings.home / FORECASTS).record(report, f"terminal:{folder.name}")
    if as_json:
        console.out(json.dumps(report), highlight=False)
        return
    print_report(MeasurementReport.from_json(report), folder)


def earlier_evidence(home_settings: Settings, digest: str) -> tuple[Evidence, ...]:
    """The results of finished jobs and measurements in this home on the same rows."""
    from finetune.measurement.evidence import evidence_of

    reports = kept_reports(home_settings)
    evidence = [one for job in reports for one in evidence_of(job.report, job.id)]
    return tuple(one for one in evidence if one.digest == digest)


def kept_reports(home_settings: Settings) -> list[FinishedJob]:
    """The reports that runs in the terminal and jobs of a worker here have left, by folder, each with the time it was written."""
    from bot.factories import artifacts_folder
    from finetune.artifacts import REPORT
    from finetune.reports.history import FinishedJob

    jobs = []
    places = {home_settings.home / "runs", Path(artifacts_folder(home_settings))}
    for file in sorted(file for place in places for file in place.rglob(REPORT)):
        try:
            report = json.loads(file.read_text(encoding="utf-8"))
            jobs.append(FinishedJob(file.parent.name, "", file.stat().st_mtime, report))
        except (OSError, ValueError):
            continue
    return jobs


def tickets_of(
    home_settings: Settings,
    dataset: str,
    columns: Mapping[str, str | None],
    part: str | None = None,
    several: str = "",
    quiet: bool = False,
) -> tuple[Tickets, str]:
    """The rows of a registered dataset, or of a file (cleaned and redacted like a dataset), and their name.

    They carry the columns that they were read from, for the report.
    """
    from bot.cli.columns import choose_columns, show_intake
    from bot.factories import open_datasets
    from finetune.data.prepare import prepare
    from finetune.data.reading import check_whole, read_tickets
    from finetune.data.store import suggest_name

    path = Path(dataset)
    if not path.suffix:
        store = open_datasets(home_settings)
        card = store.get(dataset)
        return store.tickets(card.digest), dataset
    options = {field: column for field, column in columns.items() if column}
    choice, way = choose_columns(existing_path(path), options, part, several, quiet=quiet)
    tickets, facts = prepare(read_tickets(path, choice, part=part, several=way))
    check_whole(tickets, f"{path.name}, cleaned,")
    if not quiet and isinstance(intake := facts["intake"], Mapping):
        show_intake(intake)
    return tickets, suggest_name(path.stem)


def print_report(report: MeasurementReport, folder: Path) -> None:
    """Prints the headline, scores, forecast, cost, what would change the verdict, and the picture's path."""
    from bot.cli.output import system_rows

    console.print(f"\n[bold]{escape(report.headline)}[/bold]\n", highlight=False)
    for warning in report.warnings:
        console.print(f"[yellow]! {escape(warning)}[/yellow]", highlight=False)
    if report.ladder:
        table = Table("measured on held-out tickets", "accuracy %", "macro-F1 %", box=None)
        for row in system_rows(report.ladder):
            table.add_row(*row)
        console.print(table)
    tables = (forecast_table(report.forecast), money_table(report.cost), business_table(report.business))
    for table_of in tables:
        if table_of is not None:
            console.print(table_of)
    if report.cost.sentence:
        console.print(f"[bold]Business case:[/bold] {escape(report.cost.sentence)}", highlight=False)
    if report.doubling:
        console.print(escape(report.doubling), highlight=False)
    console.print(f"[bold]Next:[/bold] {escape(report.next_step)}", highlight=False)
    if report.decision == "undecided":
        console.print("[dim]The same command with --pilot runs it.[/dim]", highlight=False)
    for line in report.would_change:
        console.print(f"[dim]Would change it:[/dim] {escape(line)}", highlight=False)
    console.print(f"[dim]Everything:[/dim] {folder / 'report.json'}", highlight=False, soft_wrap=True)
    for plot in report.plots:
        console.print(f"[dim]Picture:[/dim] {folder / plot.file}", highlight=False, soft_wrap=True)


def forecast_table(forecast: ForecastPart) -> Table | None:
    """The forecast as a table; None (after a printed reason) without a forecast."""
    if forecast.refused:
        console.print(f"[yellow]No forecast: {escape(forecast.refused)}[/yellow]", highlight=False)
        return None
    from finetune.methods import PILOT

    table = Table("forecast", "expected %", "90% band", box=None)
    lines = [(f"{line.rows:,} tickets", line) for line in forecast.ahead]
    if finetune := forecast.tuned:
        lines.append((f"{PILOT.short_name} fine-tune on {finetune.rows:,} tickets", finetune))
    for name, line in lines:
        table.add_row(name, f"{100 * line.value:.1f}", f"{100 * line.low:.1f}-{100 * line.high:.1f}")
    return table


def money_table(cost: CostPart) -> Table | None:
    """The table of one-time and monthly costs, each with its basis."""
    from finetune.pricing import money

    if not cost.serving:
        return None
    table = Table("cost", "US dollars", "basis", box=None)
    for once in cost.training:
        usd = f"{money(once.usd_low)} to {money(once.usd_high)}"
        table.add_row(f"train {once.method}, {once.where}", usd, escape(once.basis))
    if labelling := cost.labelling:
        table.add_row(f"label {labelling.rows:,} tickets", money(labelling.usd), escape(labelling.basis))
    for month in cost.serving:
        table.add_row(f"a month: {month.option}", money(month.usd_month), escape(month.basis))
    return table


def business_table(case: BusinessPart | None) -> Table | None:
    """The table of monthly results per measured alternative; None without a number of tickets."""
    from finetune.pricing import money

    if case is None or not case.workload.volume:
        return None
    table = Table(
        "a month", "answered", "hours", "by hand saved", "wrong answers", "to run", "left over", box=None
    )
    for line in case.lines:
        if line.share is not None:
            dollars = (line.handling_usd, line.wrong_usd, line.running_usd, line.net_usd)
            share = f"{100 * line.share.value:.0f}%"
            table.add_row(escape(line.name), share, f"{line.hours:,.0f}", *map(money, dollars))
    return table
