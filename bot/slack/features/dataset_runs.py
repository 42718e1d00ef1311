"""The page of all runs on a dataset's rows, and the comparison of two runs."""

from __future__ import annotations

from slack_bolt import Ack, App, Respond

from bot.slack.delivery.job_completion import FORECASTS
from bot.slack.failures import wrap_listener
from bot.slack.payload import Body, origin_of
from bot.slack.services import Services, visible_job
from bot.slack.teams import Teams
from bot.slack.ui.blocks import Block
from bot.slack.ui.dataset_page import comparison_page, dataset_page
from bot.slack.ui.limits import validate_message
from bot.slack.ui.lists import dataset_card
from finetune.data.card import Card
from finetune.data.import_report import cut_lines
from finetune.measurement.forecast_log import ForecastLog, Pair
from finetune.reports import read_report
from finetune.reports.comparison import compare_runs
from finetune.reports.history import DatasetHistory, FinishedJob, history_of
from worker.jobs.states import State

JOBS_READ = 200


def register(app: App, teams: Teams) -> None:
    """Registers the button of a report."""
    app.action("dataset_runs")(wrap_listener(teams, on_dataset_runs))


def on_dataset_runs(services: Services, ack: Ack, body: Body, action: Body, respond: Respond) -> None:
    """Shows the page of the job's dataset to the person alone."""
    ack()
    channel, user, _ = origin_of(body)
    job = visible_job(services, str(action.get("value")), user, channel)
    card = services.datasets.get(str(job.spec.get("digest") or job.dataset), services.scopes(channel))
    page = validate_message(runs_page(services, card, channel))
    respond(text=f"Dataset {card.name}", blocks=page, response_type="ephemeral", replace_original=False)


def runs_page(services: Services, card: Card, channel: str) -> list[Block]:
    """The page: card, verdict, runs, learning curve and forecasts."""
    return dataset_page(
        dataset_card(card),
        rows_history(services, card, channel),
        forecast_pairs(services, card),
        cut_lines(card.intake),
    )


def compare(services: Services, card: Card, ids: tuple[str, str], user: str, channel: str) -> list[Block]:
    """Two runs on the dataset's rows, with the tickets that they disagree on."""
    first, second = (visible_job(services, one, user, channel) for one in ids)
    comparison = compare_runs(read_report(first.report), read_report(second.report))
    texts = {row.id: row.text for row in services.datasets.tickets(card.digest).rows}
    return comparison_page(comparison, (first.id, second.id), texts)


def rows_history(services: Services, card: Card, channel: str) -> DatasetHistory:
    """The results of finished jobs on these rows; jobs of other channels only for a dataset of the whole workspace."""
    jobs = services.ledger.jobs(states=[State.SUCCEEDED], dataset=card.name, limit=JOBS_READ)
    open_to_all = "workspace" in card.scopes
    runs = [
        FinishedJob(job.id, job.by_name, job.ended_at or job.updated_at, job.report)
        for job in jobs
        if job.report and (open_to_all or job.channel == channel)
    ]
    return history_of(runs, card.digest)


def forecast_pairs(services: Services, card: Card) -> list[Pair]:
    """The forecasts on these rows, each with its outcome."""
    pairs = ForecastLog(services.home / FORECASTS).pairs()
    return [pair for pair in pairs if pair.entry.digest == card.digest]
