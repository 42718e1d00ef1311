"""`trainwise datasets`: the ticket data that the team shares."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bot.cli.columns import Several, choose_columns
from bot.cli.console import console, existing_path, settings
from bot.errors import BotError

if TYPE_CHECKING:
    from finetune.data.card import Card
    from finetune.data.importing import ImportOrder
    from finetune.data.ticket import Tickets
    from finetune.evaluation.label_noise import Suspect

app = typer.Typer(no_args_is_help=True, help="The ticket data that the team shares.")
SHOWN = 5
JOBS_READ = 200
LARGE_BYTES = 2_000_000  # a larger file takes seconds, so it gets a progress bar
SUSPECT_COLUMNS = ("id", "given", "suggested", "share of given", "share of suggested", "text")


@app.command("list")
def list_datasets() -> None:
    """List the datasets with their size, classes and who may use them."""
    from bot.factories import open_datasets

    table = Table("name", "version", "rows", "task", "classes", "who may use it", "licence", box=None)
    for card in open_datasets(settings()).list():
        sizes = str(card.version), str(card.rows), card.kind, str(len(card.classes))
        table.add_row(card.name, *sizes, ", ".join(card.scopes), escape(card.licence))
    console.print(table)


@app.command()
def add(
    path: Annotated[
        Path,
        typer.Argument(help="CSV, Excel, JSON, Parquet, a mailbox or a help desk's export, also packed."),
    ],
    name: Annotated[str | None, typer.Option(help="Its name here; default: the file's.")] = None,
    licence: Annotated[str, typer.Option(help="Under which terms the team may use it.")] = "internal",
    channel: Annotated[list[str] | None, typer.Option(help="Only for this channel (id).")] = None,
    text_column: Annotated[str | None, typer.Option(help="The column of the ticket's text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="The column of the queue or intent.")] = None,
    answer_column: Annotated[str | None, typer.Option(help="The column of the answer.")] = None,
    customer_column: Annotated[
        str | None, typer.Option(help="Who wrote: kept on one side of the split.")
    ] = None,
    date_column: Annotated[str | None, typer.Option(help="When: the latest weeks become the test.")] = None,
    part: Annotated[
        str | None, typer.Option(help="The workbook's sheet or the archive's file, where there are several.")
    ] = None,
    several: Several = "",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take the guessed columns without asking.")
    ] = False,
) -> None:
    """Check, clean and redact a file row by row and keep its good rows; bad ones are listed in a file."""
    from bot.factories import terminal_user
    from finetune.data.importing import IMPORTS, ImportOrder
    from finetune.data.store import check_name, suggest_name

    columns = {
        "text": text_column,
        "label": label_column,
        "answer": answer_column,
        "customer": customer_column,
        "created_at": date_column,
    }
    options = {field: column for field, column in columns.items() if column}
    is_asked = not yes and sys.stdin.isatty()
    mapping, way = choose_columns(existing_path(path), options, part, several, ask=is_asked)
    scopes = frozenset(f"channel:{c}" for c in channel) if channel else frozenset({"workspace"})
    dataset = check_name(name or suggest_name(path.stem))
    problems_file = Path(f"{dataset}.problems.csv")
    problems_file.unlink(missing_ok=True)
    home = settings()
    order = ImportOrder(
        home.datasets_url,
        home.home / IMPORTS,
        path,
        dataset,
        terminal_user(),
        scopes,
        licence,
        mapping,
        problems_file,
        part,
        way,
    )
    try:
        card = _import_with_progress(order)
    finally:
        if problems_file.is_file():
            print_problems(problems_file)
    print_card(card)


def _import_with_progress(order: ImportOrder) -> Card:
    """Imports the file and returns the dataset's card; a large file shows a bar, and Ctrl-C tells how to resume."""
    from bot.cli.output import JobProgress
    from finetune.data.importing import add_file

    if order.path.is_file() and order.path.stat().st_size < LARGE_BYTES:
        return add_file(order, lambda event: None)
    try:
        with JobProgress(console) as bar:
            return add_file(order, bar.show)
    except KeyboardInterrupt:
        raise BotError("Cancelled: nothing was added. The same command goes on where it stopped.") from None


def show_history(card: Card) -> None:
    """Prints every measurement and run on the card's rows, the best with a star, and the verdict."""
    from bot.cli.output import interval
    from bot.factories import open_ledger
    from finetune.pricing import money
    from finetune.reports.history import FinishedJob, history_of
    from worker.jobs.states import State

    jobs = open_ledger(settings()).jobs(states=[State.SUCCEEDED], dataset=card.name, limit=JOBS_READ)
    runs = [
        FinishedJob(job.id, job.by_name, job.ended_at or job.updated_at, job.report)
        for job in jobs
        if job.report
    ]
    history = history_of(runs, card.digest)
    if history.lines:
        table = Table("measured on these rows", "score %", "gain", "cost", "job", "by", box=None)
        for line in history.lines:
            gain = "-" if line.gain_points is None else f"{line.gain_points:+.1f}"
            name = f"{'* ' if line.best else ''}{line.name}"
            price = money(line.usd) if line.usd else "-"
            table.add_row(escape(name), interval(line.score), gain, price, line.job, escape(line.by))
        console.print(table)
    console.print(f"[bold]Verdict now:[/bold] {escape(history.verdict)}", highlight=False)


@app.command("show")
def show_card(
    name: Annotated[str, typer.Argument(help="The dataset's name or digest.")],
    picture: Annotated[Path | None, typer.Option(help="Write the card's picture (PNG) there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as one JSON object.")] = False,
) -> None:
    """Show a dataset's card."""
    from bot.factories import open_datasets

    card = open_datasets(settings()).get(name)
    if as_json:
        console.out(json.dumps(card.to_json()), highlight=False)
    else:
        print_card(card)
        show_history(card)
    if picture:
        from finetune.evaluation.dataset_plot import card_png

        picture.write_bytes(card_png(card))
        console.print(f"The picture is in {picture}.", highlight=False, markup=False)


@app.command()
def compare(
    name: Annotated[str, typer.Argument(help="The dataset's name or digest.")],
    first: Annotated[str, typer.Argument(help="A finished job's id.")],
    second: Annotated[str, typer.Argument(help="Another one's, on the same rows.")],
) -> None:
    """Lay two runs side by side: on which held-out tickets they disagree."""
    from bot.factories import open_datasets, open_ledger
    from finetune.reports import read_report
    from finetune.reports.comparison import compare_runs

    store, ledger = open_datasets(settings()), open_ledger(settings())
    texts = {row.id: row.text for row in store.tickets(store.get(name).digest).rows}
    comparison = compare_runs(*(read_report(ledger.job(job).report) for job in (first, second)))
    console.print(comparison.sentence, highlight=False)
    table = Table("ticket", "right", first, second, box=None)
    for row in (*comparison.only_first, *comparison.only_second, *comparison.both_wrong):
        text = " ".join(texts.get(row.id, row.id).split())[:80]
        table.add_row(*map(escape, (text, row.truth, row.first, row.second)))
    console.print(table)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="The dataset's name or digest.")],
    out: Annotated[Path | None, typer.Option(help="Where the list goes; default: NAME.labels.csv.")] = None,
) -> None:
    """Look for wrong labels: cross-validated, listed for a person to judge, counted on the card."""
    from bot.factories import open_datasets
    from finetune.catalog import MINILM
    from finetune.data.languages import encoder_for
    from finetune.evaluation.label_noise import find_label_noise
    from finetune.training.embedding import open_embedder
    from rag.search.embedding import load_embedder

    config = settings()
    store = open_datasets(config)
    card = store.get(name)
    tickets = store.tickets(card.digest)
    encoder = encoder_for(tickets.texts)
    embed = load_embedder(config.home / "cache") if encoder == MINILM else open_embedder(encoder)
    noise = find_label_noise(tickets, embed)
    store.repairs.save_check(card.digest, noise.to_check())
    store.annotate(card, noise=noise.to_card())
    suspects_file = out or Path(f"{card.name}.labels.csv")
    write_suspects(noise.suspects, tickets, suspects_file)
    sampling = f", drawn at random from {noise.total:,}," if noise.row_count < noise.total else ""
    console.print(
        f"{len(noise.suspects):,} of {noise.row_count:,} labels{sampling} look wrong "
        f"(the model agrees with {100 * noise.accuracy:.1f}%). `trainwise datasets repair {card.name}` asks about each. "
        f"All are in {suspects_file}:",
        highlight=False,
        markup=False,
    )
    for suspect in noise.suspects[:SHOWN]:
        text = " ".join(tickets.rows[suspect.row].text.split())[:90]
        line = f"  {suspect.id}: {suspect.given}, rather {suspect.suggested}? {text}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The dataset's name.")]) -> None:
    """Erase a dataset's rows and say which models were trained on them."""
    from bot.factories import open_datasets, open_ledger, terminal_user
    from bot.slack.services import models_trained_on

    models_of = models_trained_on(open_ledger(settings()))
    removal = open_datasets(settings()).remove(name, terminal_user(), models_of)
    console.print(f"Erased {removal.rows} rows of {removal.name}.")
    if removal.models:
        console.print(f"Trained on them, and cannot forget: jobs {', '.join(removal.models)}.")


def print_problems(problems_file: Path) -> None:
    """Prints how many rows were left out or repaired, the first few, and the file with all of them."""
    with problems_file.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    out = [row for row in rows if row["kept"] == "left out"]
    console.print(
        f"{len(out):,} rows left out, {len(rows) - len(out):,} repaired or noted: see {problems_file}",
        style="yellow",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    for row in out[:SHOWN]:
        console.print(f"  line {row['line']}: {row['problem']}", highlight=False, markup=False)


def print_card(card: Card) -> None:
    """Prints the card, and the largest cuts of the cleaning."""
    from finetune.data.card import card_lines, repair_hint
    from finetune.data.import_report import cut_lines

    console.print(f"[bold]{card.name}[/bold] v{card.version}", highlight=False)
    for line in card_lines(card):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    if repair_hint(card):
        line = f"  `trainwise datasets repair {card.name}` asks about them one by one."
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if cuts := cut_lines(card.intake):
        console.print("  The largest cuts (redacted):", highlight=False)
    for line in cuts:
        console.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)


def write_suspects(suspects: Sequence[Suspect], tickets: Tickets, path: Path) -> None:
    """Writes the doubtful labels as CSV, with cells that spreadsheets do not run as formulas."""
    from finetune.data.reading import neutral_cell
    from finetune.data.ticket import DatasetError

    try:
        with path.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.writer(stream)
            writer.writerow(SUSPECT_COLUMNS)
            for one in suspects:
                shares = f"{one.given_share:.3f}", f"{one.suggested_share:.3f}"
                cells = [neutral_cell(cell) for cell in (one.id, one.given, one.suggested)]
                writer.writerow([*cells, *shares, neutral_cell(tickets.rows[one.row].text)])
    except OSError as error:
        message = f"The list could not be written to {path}: {error.strerror}."
        raise DatasetError(message, what_next="Choose another place with --out.") from error
