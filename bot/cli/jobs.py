"""`trainwise finetune`, `try` and `jobs`: launching and following work from the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bot.cli.console import console, path_to_read, settings
from bot.errors import BotError
from bot.settings import Settings
from finetune.methods import METHODS
from finetune.tasks import TASKS

if TYPE_CHECKING:
    from finetune.data.card import Card
    from finetune.data.store import DatasetStore
    from finetune.data.ticket import Tickets
    from finetune.reports.finetune import Example
    from finetune.reports.parts import SystemLine
    from finetune.spec import Spec

app = typer.Typer(no_args_is_help=True, help="List, follow, cancel and retry jobs.")
TERMINAL = "terminal"
EXAMPLES_SHOWN = 2
Here = Annotated[bool, typer.Option("--here", help="Run in this process, without queue or bot.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]


def _either(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


def register(root: typer.Typer) -> None:
    """Add the top-level commands of this file to `trainwise`."""
    root.command()(finetune)
    root.command("try")(try_model)
    root.command("export")(export_model)


def finetune(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a file.")] = "sample-tickets",
    task: Annotated[str, typer.Option(help=f"{_either(TASKS)}; default: what the tickets are for.")] = "",
    base_model: Annotated[str, typer.Option(help="minilm, a hub id, or a local folder.")] = "",
    method: Annotated[str, typer.Option(help=f"{_either(METHODS)}.")] = "",
    epochs: Annotated[str, typer.Option(help="Times over the training rows.")] = "",
    learning_rate: Annotated[str, typer.Option(help="Default: by method.")] = "",
    seed: Annotated[str, typer.Option(help="Fixes every random draw.")] = "",
    budget_usd: Annotated[str, typer.Option(help="Stop when this is spent.")] = "",
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting of the recipe: --set max_length=512 --set packing=yes."
        ),
    ] = None,
    here: Here = False,
    as_json: AsJson = False,
) -> None:
    """Launch a fine-tune and follow it to its report."""
    from bot.factories import open_datasets
    from finetune.spec import default_task, parse_spec

    datasets = open_datasets(settings())
    extra_settings = settings_of(more or [])
    card = dataset_card(datasets, dataset)
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
    form["base_model"] = absolute(form["base_model"])
    spec = parse_spec(form)
    print_estimate(spec, card, here, quiet=as_json)
    if here:
        finetune_here(spec, datasets.tickets(card.digest), as_json)
    else:
        follow(launch(settings(), "finetune", spec.to_json(), card.name), as_json)


def print_estimate(spec: Spec, card: Card, here: bool, quiet: bool) -> None:
    """Prints time and money; BotError where this machine (`here`) cannot do it, or a queued job's size is unknown."""
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


def finetune_here(spec: Spec, tickets: Tickets, as_json: bool) -> None:
    """Run the recipe in this process and print its report."""
    from bot.factories import load_prices, measuring_llm
    from finetune.pipeline import REPORT, run

    folder = settings().home / "runs" / spec.recipe_digest[:12]
    if (folder / REPORT).is_file() and not as_json:
        console.print(
            f"[dim]This recipe has run here on these rows: its report. Remove {folder} to run it anew.[/dim]"
        )
    prices = load_prices(settings())
    rate = float(prices["cpu_hour"]["usd"])
    llm = measuring_llm(settings())
    report = here_with_bar(
        lambda emit: run(spec, tickets, folder, emit, lambda: None, rate, prices, llm=llm), quiet=as_json
    )
    show_report(report, folder, as_json)
    if (note := forecast_note(settings(), report, folder.name)) and not as_json:
        console.print(escape(note), highlight=False)


def settings_of(pairs: list[str]) -> dict[str, str]:
    """`--set name=value` as form fields; BotError where one has no `=`."""
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise BotError(f"--set {wrong[0]}: write a name and a value, for example --set max_length=512.")
    return {name.strip().replace("-", "_"): value for name, _, value in (p.partition("=") for p in pairs)}


def absolute(base_model: str) -> str:
    """A folder's full path, so that a worker started elsewhere finds it; any other name as it is."""
    from finetune.catalog import BASE_MODELS

    path = Path(base_model).expanduser()
    return (
        str(path.resolve()) if base_model and base_model not in BASE_MODELS and path.is_dir() else base_model
    )


def forecast_note(home_settings: Settings, report: dict[str, Any], run: str) -> str | None:
    """Keeps what came out; what an earlier measurement had forecast, beside it, in a sentence."""
    from bot.slack.delivery.after_job import FORECASTS
    from finetune.measurement.forecast_log import ForecastLog

    log = ForecastLog(home_settings.home / FORECASTS)
    note = log.about(report)
    log.record(report, f"terminal:{run}:{int(time.time())}")
    return note


def try_model(
    job: Annotated[str, typer.Argument(help="The job whose model answers, or a model's folder.")],
    text: Annotated[str, typer.Argument(help="A ticket.")],
    as_json: AsJson = False,
) -> None:
    """Answer one ticket before and after training, side by side."""
    from bot.cli.output import print_sides
    from finetune.serving.predict import try_both

    if not text.strip():
        raise BotError('There is no ticket text: `trainwise try JOB "my invoice is wrong"`.')
    print_sides(console, try_both(model_folder(job), text), as_json)


def export_model(
    job: Annotated[str, typer.Argument(help="The job whose model is wanted, or a model's folder.")],
    out: Annotated[Path | None, typer.Argument(help="The new folder; default: JOB-model, here.")] = None,
    merged: Annotated[bool, typer.Option(help="Fold the adapter into its base: loads without peft.")] = False,
    push_to: Annotated[str, typer.Option("--push", help="Also upload to OWNER/NAME with HF_TOKEN.")] = "",
    public: Annotated[bool, typer.Option(help="With --push: visible to everyone.")] = False,
) -> None:
    """Write a tuned model and its card to a folder, and on request to a model hub."""
    from finetune.serving.export import export, push

    token = settings().hub_token
    if push_to and not token:
        raise BotError("Set HF_TOKEN to a hub token with write access, then run this again.")
    out = out or Path(f"{Path(job).name}-model")
    files = export(model_folder(job), out, "merged" if merged else "adapter")
    size = sum(path.stat().st_size for path in files)
    console.print(f"{len(files)} files, {size / 1e6:.1f} MB in {out}", highlight=False)
    if push_to and token:
        console.print(f"Uploaded: {push(out, push_to, token.reveal(), private=not public)}", highlight=False)


def model_folder(job: str) -> Path:
    """Where a job's model lies: a folder as given, a run of `--here` by name, else a job of the ledger."""
    from bot.factories import open_ledger

    here = settings().home / "runs" / job
    for folder in (Path(job), here):
        if folder.is_dir():
            return folder
    from bot.wiring import artifacts_folder

    return artifacts_folder(settings()) / open_ledger(settings()).job(job).root


@app.command("list")
def list_jobs(limit: Annotated[int, typer.Option(help="How many, newest first.")] = 20) -> None:
    """List the newest jobs."""
    from bot.factories import open_ledger

    table = Table("id", "kind", "dataset", "state", "by", "where it stands", box=None)
    for job in open_ledger(settings()).jobs(limit=limit):
        where = job.error or (job.report or {}).get("headline") or job.progress.get("phase", "")
        table.add_row(job.id, job.kind, job.dataset, job.state, escape(job.by_name), escape(str(where)))
    console.print(table)


@app.command()
def show(job_id: str) -> None:
    """Show a job with its whole history."""
    from bot.factories import open_ledger

    ledger = open_ledger(settings())
    job = ledger.job(job_id)
    console.print(f"[bold]{job.id}[/bold] {job.kind} on {job.dataset}: {job.state}")
    console.print(escape(json.dumps(job.spec)), highlight=False)
    for event in ledger.history(job_id):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
        step = f" -> {event.to_state}" if event.to_state else ""
        console.print(f"{when}  {event.who}: {event.what}{step} {event.why}", highlight=False, markup=False)
    if job.report:
        console.print(escape(str(job.report["headline"])))


@app.command()
def cancel(
    job_id: str, why: Annotated[str, typer.Option(help="For the record.")] = "from the terminal"
) -> None:
    """Cancel a job."""
    from bot.factories import open_ledger, person

    job = open_ledger(settings()).request_cancel(job_id, person(), why)
    console.print(f"{job.id}: {job.state}")


@app.command()
def retry(job_id: str) -> None:
    """Launch an ended job again with the same recipe."""
    from bot.factories import open_ledger, person

    key = f"retry:{job_id}:{time.time_ns()}"
    job = open_ledger(settings()).retry(job_id, person(), person(), key)
    console.print(f"{job.id}: {job.state}")


@app.command("follow")
def follow(job_id: str, as_json: AsJson = False) -> None:
    """Follow a job to its end."""
    from bot.cli.output import JobProgress
    from bot.factories import open_ledger
    from worker.jobs.states import END_STATES, State

    ledger = open_ledger(settings())
    with JobProgress(console) as bar:
        while (job := ledger.job(job_id)).state not in END_STATES:
            if job.state is State.QUEUED and time.time() - job.created_at > 15:
                bar.show({"kind": "phase", "phase": "waiting: run `trainwise up` and `trainwise worker`"})
            elif job.progress.get("steps"):
                bar.show({"kind": "step", **job.progress})
            else:
                bar.show({"kind": "phase", "phase": job.progress.get("phase") or str(job.state)})
            time.sleep(0.5)
    if job.report is None:
        console.print(f"{job.state}: {escape(job.error or 'no report')}")
        raise typer.Exit(1)
    show_report(job.report, None, as_json)


def launch(home_settings: Settings, kind: str, spec: dict[str, Any], dataset: str) -> str:
    """Accepts a job into the ledger for the running bot to send out; gives its id."""
    from bot.factories import open_ledger, person
    from worker.jobs.records import JobRequest

    ledger = open_ledger(home_settings)
    request = JobRequest(
        kind=kind,
        spec=spec,
        dataset=dataset,
        by=person(),
        by_name=person(),
        team=TERMINAL,
        channel="",
        thread_ts=None,
        request_key=f"{TERMINAL}:{time.time_ns()}",
    )
    job = ledger.submit(request)
    console.print(f"Job [bold]{job.id}[/bold] is {job.state}. Ctrl-C stops watching, not the job.")
    return job.id


def dataset_card(store: DatasetStore, name: str) -> Any:
    """The card of a registered dataset, or of a file that is registered on the way."""
    from bot.factories import person
    from finetune.data.store import suggest_name

    path = Path(name)
    if not path.suffix:
        return store.get(name)
    suggestion = suggest_name(path.stem)
    return store.add(path_to_read(path), suggestion, person(), frozenset({"workspace"}), "internal")


def here_with_bar(
    work: Callable[[Callable[[dict[str, Any]], None]], dict[str, Any]], quiet: bool = False
) -> dict[str, Any]:
    """Run a pipeline in this process with a progress bar (none when its output is for a program)."""
    from bot.cli.output import JobProgress

    if quiet:
        return work(lambda event: None)
    with JobProgress(console) as bar:
        return work(bar.show)


def example_lines(example: Example, against: str) -> str:
    """One held-out ticket's end with what people wrote, what the trained model wrote, and the best baseline."""
    sides = (
        ("your team", example.real),
        ("trained model", example.tuned),
        (against.lower(), example.baseline),
    )
    lines = [f"  {name}: {' '.join(text.split())[:200] or '(empty)'}" for name, text in sides]
    return "\n".join([f"… {' '.join(example.ticket.split())[-160:]}", *lines])


def show_report(data: dict[str, Any], folder: Path | None, as_json: bool) -> None:
    """The report as a table with its headline, or as one JSON object."""
    from finetune.reports import FinetuneReport, TrialReport, read_report

    report = read_report(data)
    if as_json or report is None:
        console.out(json.dumps(data), highlight=False)
        return
    console.print(f"[bold]{escape(report.headline)}[/bold]", highlight=False)
    if isinstance(report, TrialReport):
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


def print_systems(systems: Sequence[SystemLine]) -> None:
    """The table of alternatives."""
    from bot.cli.output import measures_of, system_rows

    measures = measures_of(systems)
    table = Table("system", *(f"{title} %" for title in measures.values()), box=None)
    for row in system_rows(systems, tuple(measures)):
        table.add_row(*row)
    console.print(table)
