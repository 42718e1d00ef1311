"""`trainwise measure`: the measured verdict on a dataset or a file, here and now."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bot.cli.console import console, path_to_read, settings
from bot.cli.jobs import AsJson, here_with_bar
from bot.cli.output import system_rows
from bot.factories import load_prices, measuring_model, open_datasets
from bot.settings import Settings
from bot.slack.delivery.after_job import FORECASTS
from finetune.data.ticket import Tickets

if TYPE_CHECKING:
    from finetune.measurement.evidence import Evidence


def register(root: typer.Typer) -> None:
    """Add the command to `trainwise`."""
    root.command()(measure)


def measure(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a file.")] = "sample-tickets",
    target: Annotated[float, typer.Option(help="Score that is good enough, 0 to 1.")] = 0.9,
    volume: Annotated[int, typer.Option(help="Tickets per month.")] = 0,
    price_per_wrong: Annotated[float | None, typer.Option(help="Dollars that a wrong answer costs.")] = None,
    metric: Annotated[str, typer.Option(help="accuracy or macro_f1.")] = "accuracy",
    text_column: Annotated[str | None, typer.Option(help="Of a file: the column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of a file: the column of the queue.")] = None,
    llm_usd: Annotated[float, typer.Option(help="Most to spend on prompts, if a model is set.")] = 0.5,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="Run the fine-tune pilot, however long it takes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score the cheap alternatives, train a pilot, forecast the full run and its price; decide."""
    from finetune.llm import Llm
    from finetune.measurement.findings import Bench, Request
    from finetune.measurement.forecast_log import ForecastLog
    from finetune.measurement.run import measure as run

    chosen = settings()
    ask = measuring_model(chosen) if llm_usd > 0 else None
    tickets, name = tickets_of(chosen, dataset, ask is not None, text_column, label_column)
    request = Request(target, volume, price_per_wrong, metric, whole_pilot=pilot)
    folder = chosen.home / "runs" / f"measure-{tickets.digest[:12]}-{int(time.time())}"
    report = here_with_bar(
        lambda emit: run(
            tickets,
            request,
            Bench(
                folder,
                load_prices(chosen),
                emit,
                lambda: None,
                Llm(ask, chosen.chat_model, llm_usd) if ask is not None else None,
                known_models(chosen, tickets.digest),
                name,
            ),
        ),
        quiet=as_json,
    )
    ForecastLog(chosen.home / FORECASTS).record(report, f"terminal:{folder.name}")
    if as_json:
        console.out(json.dumps(report), highlight=False)
        return
    show(report, folder)


def known_models(chosen: Settings, digest: str) -> tuple[Evidence, ...]:
    """What finished jobs and measurements in this home have shown on the same rows."""
    from bot.wiring import artifacts_folder
    from finetune.artifacts import REPORT
    from finetune.measurement.evidence import evidence_of

    found: list[Evidence] = []
    places = {chosen.home / "runs", Path(artifacts_folder(chosen))}
    for file in sorted(file for place in places for file in place.rglob(REPORT)):
        try:
            report = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found += [one for one in evidence_of(report, file.parent.name) if one.digest == digest]
    return tuple(found)


def tickets_of(
    chosen: Settings, dataset: str, for_model: bool, text_column: str | None, label_column: str | None
) -> tuple[Tickets, str]:
    """The rows of a registered dataset, or of a file; and the name they go by.

    A registered dataset was cleaned and redacted when it was added; a file is, where a model will read it.
    """
    from finetune.data.prepare import prepare
    from finetune.data.reading import read_tickets
    from finetune.data.store import suggest_name

    path = Path(dataset)
    named = {field: column for field, column in (("text", text_column), ("label", label_column)) if column}
    if path.suffix:
        rows = read_tickets(path_to_read(path), named or None)
        return (prepare(rows)[0] if for_model else rows), suggest_name(path.stem)
    store = open_datasets(chosen)
    return store.tickets(store.get(dataset).digest), dataset


def show(report: Mapping[str, Any], folder: Path) -> None:
    """The headline, then what it rests on: scores, forecast, money, what would change it, the picture."""
    console.print(f"\n[bold]{escape(report['headline'])}[/bold]\n", highlight=False)
    for warning in report["warnings"]:
        console.print(f"[yellow]! {escape(str(warning))}[/yellow]", highlight=False)
    if rows := report["ladder"]:
        table = Table("measured on held-out tickets", "accuracy %", "macro-F1 %", box=None)
        for row in system_rows(rows):
            table.add_row(*row)
        console.print(table)
    for made in (forecast_table(report["forecast"]), money_table(report["cost"])):
        if made is not None:
            console.print(made)
    console.print(f"[bold]Next:[/bold] {escape(report['next_step'])}", highlight=False)
    for line in report["would_change"]:
        console.print(f"[dim]Would change it:[/dim] {escape(str(line))}", highlight=False)
    pictures = [str(folder / plot["file"]) for plot in report["plots"]]
    console.print(f"[dim]Everything:[/dim] {folder / 'report.json'}", highlight=False, soft_wrap=True)
    for picture in pictures:
        console.print(f"[dim]Picture:[/dim] {picture}", highlight=False, soft_wrap=True)


def forecast_table(forecast: Mapping[str, Any]) -> Table | None:
    """Rows ahead with what is expected there, or the reason why nothing is forecast."""
    if forecast.get("refused"):
        console.print(f"[yellow]No forecast: {escape(forecast['refused'])}[/yellow]", highlight=False)
        return None
    table = Table("forecast", "expected %", "90% band", box=None)
    ahead = zip(forecast["at"], forecast["points"], forecast["band"], strict=True)
    for rows, value, (low, high) in ahead:
        table.add_row(f"{rows:,} tickets", f"{100 * value:.1f}", f"{100 * low:.1f}-{100 * high:.1f}")
    if tuned := forecast.get("tuned"):
        band = f"{100 * tuned['wide_low']:.1f}-{100 * tuned['wide_high']:.1f}"
        table.add_row(f"LoRA fine-tune on {tuned['rows']:,} tickets", f"{100 * tuned['value']:.1f}", band)
    return table


def money_table(cost: Mapping[str, Any]) -> Table | None:
    """What is paid once and what a month costs, each with its basis."""
    if not cost:
        return None
    table = Table("cost", "US dollars", "basis", box=None)
    for line in cost["training"]:
        usd = f"{line['usd_low']:.2f}-{line['usd_high']:.2f}" if line["usd_high"] >= 0.01 else "under 0.01"
        table.add_row(f"train {line['method']}, {line['where']}", usd, escape(line["basis"]))
    if labelling := cost.get("labelling"):
        name = f"label {labelling['rows']:,} tickets"
        table.add_row(name, f"{labelling['usd']:,.0f}", escape(labelling["basis"]))
    for line in cost["serving"]:
        table.add_row(f"a month: {line['option']}", f"{line['usd_month']:,.0f}", escape(line["basis"]))
    if (saved := cost.get("saved_usd_month")) is not None:
        table.add_row(
            "a month: saved by the gain", f"{saved:,.0f}", "tickets x gain x price per wrong answer"
        )
    return table
