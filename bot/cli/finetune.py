"""`trainwise finetune`: launches a fine-tune from the terminal, or runs it in this process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from bot.cli.columns import Several
from bot.cli.console import console, existing_path, settings
from bot.errors import BotError
from finetune.methods import METHODS
from finetune.tasks import TASKS

if TYPE_CHECKING:
    from bot.settings import Settings
    from finetune.data.card import Card
    from finetune.data.store import DatasetStore
    from finetune.data.ticket import Tickets
    from finetune.platforms.contract import PlaceOffer
    from finetune.spec import Spec

from bot.cli.jobs import follow, launch
from bot.cli.report import AsJson, run_with_progress, show_report

Here = Annotated[bool, typer.Option("--here", help="Run in this process, without queue or bot.")]


def _either(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


def register(root: typer.Typer) -> None:
    """Adds the commands of this file to `trainwise`."""
    root.command()(finetune)


def finetune(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a file.")] = "sample-tickets",
    task: Annotated[str, typer.Option(help=f"{_either(TASKS)}; default: what the tickets are for.")] = "",
    base_model: Annotated[str, typer.Option(help="minilm, a hub id, or a local folder.")] = "",
    method: Annotated[str, typer.Option(help=f"{_either(METHODS)}.")] = "",
    epochs: Annotated[str, typer.Option(help="Times over the training rows.")] = "",
    learning_rate: Annotated[str, typer.Option(help="Default: by method.")] = "",
    seed: Annotated[str, typer.Option(help="Fixes every random draw.")] = "",
    budget_usd: Annotated[str, typer.Option(help="Stop when this is spent.")] = "",
    text_column: Annotated[str | None, typer.Option(help="Of a file: the column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of a file: the column of the queue.")] = None,
    answer_column: Annotated[str | None, typer.Option(help="Of a file: the column of the answer.")] = None,
    several: Several = "",
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting of the recipe: --set max_length=512 --set packing=yes."
        ),
    ] = None,
    where: Annotated[
        str, typer.Option(help="PLATFORM/MACHINE of a connected platform; default: this team's workers.")
    ] = "",
    here: Here = False,
    as_json: AsJson = False,
) -> None:
    """Launch a fine-tune and follow it to its report."""
    from bot.factories import open_datasets
    from finetune.spec import default_task, parse_spec

    datasets = open_datasets(settings())
    extra_settings = parse_pairs(more or [])
    columns = {"text": text_column, "label": label_column, "answer": answer_column}
    options = {field: column for field, column in columns.items() if column}
    card = dataset_card(datasets, dataset, options, several, quiet=as_json)
    form = {
        "task": task or default_task(card.kind),
        "base_model": base_model,
        "method": method,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "seed": seed,
        "budget_usd": budget_usd,
        **extra_settings,
        "dataset": card.name,
        "digest": card.digest,
    }
    form["base_model"] = absolute_path(form["base_model"])
    spec = parse_spec(form)
    if where:
        machine = find_machine(where, spec)
        follow(launch(settings(), "finetune", spec.to_json(), card.name, machine), as_json)
        return
    print_estimate(spec, card, here, quiet=as_json)
    if here:
        finetune_here(spec, datasets.tickets(card.digest), as_json)
    else:
        follow(launch(settings(), "finetune", spec.to_json(), card.name), as_json)


def find_machine(where: str, spec: Spec) -> PlaceOffer:
    """The machine of this name, from the platform's current offers; raises BotError with the offered names."""
    from bot.factories import connect_platforms
    from finetune.errors import did_you_mean
    from finetune.platforms.contract import PlaceOffer

    connection = connect_platforms(settings()).get(where.partition("/")[0])
    if connection is None:
        raise BotError(
            f"No platform `{where.partition('/')[0]}` is connected here: docs/platforms.md has the steps."
        )
    if spec.budget_usd is None:
        raise BotError("Give a budget (--budget-usd): it limits time and cost there.")
    places = [PlaceOffer(connection.platform, offer) for offer in connection.adapter.offers()]
    place = next((one for one in places if one.name == where), None)
    if place is None:
        names = [one.name for one in places]
        raise BotError(
            f"`{where}` is not offered now.{did_you_mean(where, names) or ' There is ' + ', '.join(names[:8])}"
        )
    return place


def print_estimate(spec: Spec, card: Card, here: bool, quiet: bool) -> None:
    """Prints time and cost; raises BotError when this machine (`here`) cannot run it, or a queued job's size is unknown."""
    from bot.factories import load_prices
    from bot.slack.ui.estimate import BUDGET_FOR_UNKNOWN_SIZE, estimate_text
    from finetune.device import memory_gib
    from finetune.estimate import Machine, estimate_run, refusal
    from worker.runtime.multi_gpu import free_memory_gib

    prices = load_prices(settings())
    estimate = estimate_run(spec, card, prices)
    if here:
        machine = Machine("this machine", memory_gib(), max(free_memory_gib().values(), default=0.0))
        if problems := refusal(spec, estimate, [machine]):
            raise BotError(" ".join(problems.values()))
    elif estimate.size.parameters is None and spec.budget_usd is None:
        raise BotError(BUDGET_FOR_UNKNOWN_SIZE.format(base=spec.base_model) + " (--budget-usd)")
    if not quiet:
        console.print(
            f"[dim]{escape(estimate_text(spec.base_model, estimate, prices))}[/dim]", highlight=False
        )


def dataset_card(
    store: DatasetStore, name: str, columns: Mapping[str, str], several: str, quiet: bool
) -> Card:
    """The card of a registered dataset, or of a file that it registers; prints the file's columns and rows."""
    from bot.cli.columns import choose_columns, show_intake
    from bot.factories import terminal_user
    from finetune.data.reading import read_file
    from finetune.data.store import suggest_name

    path = Path(name)
    if not path.suffix:
        return store.get(name)
    choice, way = choose_columns(existing_path(path), dict(columns), several=several, quiet=quiet)
    everyone = frozenset({"workspace"})
    tickets = read_file(path, choice, several=way)
    card = store.keep(tickets, suggest_name(path.stem), terminal_user(), everyone, "internal", path.name)
    if not quiet:
        show_intake(card.intake)
    return card


def finetune_here(spec: Spec, tickets: Tickets, as_json: bool) -> None:
    """Runs the recipe in this process and prints its report."""
    from bot.factories import load_prices, open_measurement_llm
    from finetune.pipeline import REPORT, run
    from finetune.pricing import Rates

    folder = settings().home / "runs" / spec.recipe_digest[:12]
    if (folder / REPORT).is_file() and not as_json:
        console.print(
            f"[dim]This recipe has run here on these rows: its report. Remove {folder} to run it anew.[/dim]"
        )
    prices = load_prices(settings())
    rates = Rates(float(prices["cpu_hour"]["usd"]), prices)
    llm = open_measurement_llm(settings())
    report = run_with_progress(
        lambda emit: run(spec, tickets, folder, emit, lambda: None, rates, llm=llm), quiet=as_json
    )
    show_report(report, folder, as_json)
    if (note := forecast_note(settings(), report, folder.name)) and not as_json:
        console.print(escape(note), highlight=False)


def parse_pairs(pairs: list[str]) -> dict[str, str]:
    """Parses `--set name=value` into form fields; raises BotError for one without `=`."""
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise BotError(f"--set {wrong[0]}: write a name and a value, for example --set max_length=512.")
    return {name.strip().replace("-", "_"): value for name, _, value in (p.partition("=") for p in pairs)}


def absolute_path(base_model: str) -> str:
    """A folder's absolute path, so that a worker in another folder finds it; other names stay."""
    from finetune.catalog import BASE_MODELS

    path = Path(base_model).expanduser()
    return (
        str(path.resolve()) if base_model and base_model not in BASE_MODELS and path.is_dir() else base_model
    )


def forecast_note(home_settings: Settings, report: dict[str, Any], run: str) -> str | None:
    """Keeps what came out; beside it, in a sentence each, what an earlier measurement had forecast and its target."""
    from bot.cli.measure import kept_reports
    from bot.slack.delivery.job_completion import FORECASTS
    from finetune.measurement.forecast_log import ForecastLog
    from finetune.reports import FinetuneReport, read_report
    from finetune.reports.history import target_line

    log = ForecastLog(home_settings.home / FORECASTS)
    note, value = log.about(report), read_report(report)
    log.record(report, f"terminal:{run}:{int(time.time())}")
    target = target_line(value, kept_reports(home_settings)) if isinstance(value, FinetuneReport) else ""
    return " ".join(filter(None, (note, target))) or None
