"""The command `trainwise`: each sub-command parses, calls one domain function and prints."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bot.cli.console import OUR_ERRORS, bot_settings, console, exit_with_error, settings, working
from bot.errors import BotError
from bot.extras import advise_missing

if TYPE_CHECKING:
    from rag.reply import Reply

app = typer.Typer(
    name="trainwise",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich boxes double the start time
    help="Should we train a model? Answers with evidence, and runs the training when the answer is yes.",
)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the web page; 0 picks a free one.")] = 0,
    stay: Annotated[bool | None, typer.Option(help="Stay up afterwards (default: on a terminal).")] = None,
) -> None:
    """Play the whole story on this machine: ask, fine-tune, report. Needs no Slack, key, GPU or Redis."""
    console.print("Starting Redis, a local Slack workspace and the bot on this machine ...")
    from bot.demo.story import play  # takes a second to import, so after the first line

    play(bot_settings(), port=port, stay=sys.stdin.isatty() if stay is None else stay, console=console)


@app.command()
def up() -> None:
    """Run the bot: Slack over Socket Mode or signed HTTP, the ledger and the outbox."""
    one_thread_a_product()
    from bot.wiring import run_bot

    run_bot(bot_settings())


def one_thread_a_product() -> None:
    """Limits numpy, before its import, to one thread per matrix product.

    A reader's products are small: with two threads on two busy cores a question cost three times the CPU (docs/performance.md).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@app.command()
def worker(
    name: Annotated[str | None, typer.Option(help="Name on the job card; default: the host's.")] = None,
    burst: Annotated[bool, typer.Option(help="Stop when the queue is empty.")] = False,
    gpu: Annotated[str | None, typer.Option(help="0, or 0,1, or cpu; default: the emptiest GPU.")] = None,
    health_port: Annotated[int, typer.Option(help="GET /health on this port; 0 picks one.")] = 0,
) -> None:
    """Run a worker that trains: on a GPU machine, or here on the CPU."""
    from bot.wiring import run_worker

    run_worker(bot_settings(), name, burst, gpu, health_port)


@app.command()
def playground(
    port: Annotated[int, typer.Option(help="Port of the web page.")] = 3700,
) -> None:
    """Run the local workspace with the bot and a worker in it, and print the page's address."""
    from bot.demo.stack import local_stack

    with local_stack(bot_settings().home / "playground", port=port) as stack:
        stack.wait_for_bot()
        console.print(f"The workspace is at [bold]{stack.url}[/bold]. Ctrl-C ends it.")
        stack.wait()


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help='For example: "should we fine-tune on our articles?"')],
    as_json: Annotated[bool, typer.Option("--json", help="Print the reply as one JSON object.")] = False,
    corrections: Annotated[
        list[str] | None,
        typer.Option("--set", help="Correct what was understood, for example task=reply; repeatable."),
    ] = None,
) -> None:
    """Answer a question in the terminal, with the verdict, what was understood, and the sources."""
    one_thread_a_product()
    if not question.strip():
        raise BotError('Ask me in a sentence: `trainwise ask "should we fine-tune on our articles?"`.')
    with working("Reading the question and the documents"):
        reply = _answer(question, corrections or [])
    from bot.cli.output import print_reply

    print_reply(console, reply, as_json=as_json)


def _answer(question: str, corrections: list[str]) -> Reply:
    from bot.factories import open_adviser
    from bot.slack.features.answering import check_question
    from rag.advice.menus import parse_correction

    checked_question = check_question(question)
    for correction in corrections:
        parse_correction(correction)  # refuses a bad one before the models load
    with open_adviser(settings()) as adviser:
        if corrections:
            return adviser.correct(corrections, question=checked_question)
        return adviser.ask(checked_question)


@app.command()
def doctor() -> None:
    """Ping each dependency and say what to do about each failure; exits 1 when one fails."""
    from bot.cli.doctor import Level, run_checks

    marks = {
        Level.OK: "[green]ok",
        Level.OFF: "[dim]off",
        Level.WARN: "[yellow]warn",
        Level.FAIL: "[red]fail",
    }
    table = Table("", "dependency", "found", "what to do", box=None)
    worst = False
    with working("Looking at this machine and what it reaches"):
        findings = list(run_checks(bot_settings()))
    for finding in findings:
        table.add_row(marks[finding.level], finding.name, finding.detail, finding.fix)
        worst = worst or finding.level is Level.FAIL
    console.print(table)
    raise typer.Exit(1 if worst else 0)


@app.command()
def forget(
    requester: Annotated[str, typer.Argument(help="The customer's id or address, as in the tickets.")],
) -> None:
    """Erase a customer's rows and words from datasets, jobs, threads and ratings; name the models that saw them."""
    from bot.factories import forget_requester

    for line in forget_requester(settings(), requester):
        console.print(line)


@cache
def register() -> None:
    """Attaches the command groups, once per process."""
    from bot.cli import (
        datasets,
        evaluate,
        finetune,
        index,
        jobs,
        measure,
        models,
        pull,
        remote,
        repair,
        replicate,
        serve,
        teams,
    )

    app.add_typer(index.app, name="index")
    datasets.app.command("repair")(repair.repair)
    app.add_typer(datasets.app, name="datasets")
    app.add_typer(jobs.app, name="jobs")
    app.add_typer(teams.app, name="teams")
    app.add_typer(evaluate.app, name="eval")
    pull.register(datasets.app)
    finetune.register(app)
    models.register(app)
    measure.register(app)
    remote.register(app)
    replicate.register(app)
    serve.register(app)


def main() -> None:
    """The console script: prints our own errors as one message and exits with code 2."""
    from finetune.errors import is_disk_full

    register()
    try:
        app()
    except OUR_ERRORS as error:
        exit_with_error(str(error))
    except Exception as error:  # the edge: each library raises its own error for a full disk
        if missing := advise_missing(error):
            exit_with_error(missing)
        if not is_disk_full(error):
            raise
        exit_with_error(
            "There is no space left on the disk. Free some, or set TRAINWISE_HOME to a larger disk."
        )


if __name__ == "__main__":
    main()
