"""`trainwise jobs`: lists and follows jobs from the terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bot.cli.console import console, settings

if TYPE_CHECKING:
    from bot.settings import Settings
    from finetune.platforms.contract import PlaceOffer

from bot.cli.report import AsJson, show_report

app = typer.Typer(no_args_is_help=True, help="List, follow, cancel and retry jobs.")
TERMINAL = "terminal"


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
    from finetune.reports import headline_of

    ledger = open_ledger(settings())
    job = ledger.job(job_id)
    console.print(f"[bold]{job.id}[/bold] {job.kind} on {job.dataset}: {job.state}")
    console.print(escape(json.dumps(job.spec)), highlight=False)
    for event in ledger.history(job_id):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
        step = f" -> {event.to_state}" if event.to_state else ""
        console.print(f"{when}  {event.who}: {event.what}{step} {event.why}", highlight=False, markup=False)
    if headline := headline_of(job.report):
        console.print(escape(headline))


@app.command()
def cancel(
    job_id: str, why: Annotated[str, typer.Option(help="For the record.")] = "from the terminal"
) -> None:
    """Cancel a job."""
    from bot.factories import open_ledger, terminal_user

    job = open_ledger(settings()).request_cancel(job_id, terminal_user(), why)
    console.print(f"{job.id}: {job.state}")


@app.command()
def retry(job_id: str) -> None:
    """Launch an ended job again with the same recipe."""
    from bot.factories import open_ledger, terminal_user

    key = f"retry:{job_id}:{time.time_ns()}"
    job = open_ledger(settings()).retry(job_id, terminal_user(), terminal_user(), key)
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


def launch(
    home_settings: Settings, kind: str, spec: dict[str, Any], dataset: str, machine: PlaceOffer | None = None
) -> str:
    """Submits a job to the ledger, which the running bot dispatches (to a platform's `machine` if given); returns its id."""
    from bot.factories import open_ledger, terminal_user
    from worker.jobs.records import JobRequest

    ledger = open_ledger(home_settings)
    request = JobRequest(
        kind=kind,
        spec=spec,
        dataset=dataset,
        by=terminal_user(),
        by_name=terminal_user(),
        team=TERMINAL,
        channel="",
        thread_ts=None,
        request_key=f"{TERMINAL}:{time.time_ns()}",
        estimate_usd=float(spec.get("budget_usd") or 0) if machine else 0.0,
        platform=machine.platform.name if machine else None,
        machine=machine.offer.name if machine else None,
    )
    job = ledger.submit(request)
    console.print(f"Job [bold]{job.id}[/bold] is {job.state}. Ctrl-C stops watching, not the job.")
    return job.id
