"""Compares a model on duty with its forecast: accuracy with its report's, hours saved with the measurement's."""

from __future__ import annotations

from collections.abc import Sequence

from bot.slack.services import Services
from finetune.evaluation.duty_monitoring import DutyFigures, Observation
from finetune.evaluation.statistics import wilson
from finetune.reports import FinetuneReport, MeasurementReport, read_report
from finetune.reports.costs import CaseLine, Workload
from worker.errors import WorkerError
from worker.jobs.records import Job
from worker.jobs.states import State
from worker.ledger.duty import LIVE, Watch

MONTH_S = 30 * 86_400.0
DAY_S = 86_400.0
LEAST_CHECKED = 10  # judged tickets drawn at random before their share is shown
JOBS_READ = 200


def outcome_lines(
    services: Services, watch: Watch, observations: Sequence[Observation], figures: DutyFigures
) -> list[str]:
    """The lines on accuracy and hours, each beside its forecast; a line with an unknown side is left out."""
    forecast = measured_workload(services, watch)
    lines = [accuracy_line(observations, held_out_accuracy(services, watch))]
    if forecast is not None:
        seconds = max(DAY_S, services.clock() - watch.created_at)
        lines.append(hours_line(figures, *forecast, seconds, watch.mode == LIVE))
    return [line for line in lines if line]


def accuracy_line(observations: Sequence[Observation], held_out: float | None) -> str:
    """The accuracy of the likeliest queue on randomly drawn tickets, answered or not, beside the report's."""
    checks = [one.right for one in observations if one.is_audit and one.right is not None]
    if len(checks) < LEAST_CHECKED or held_out is None:
        return ""
    share = wilson(sum(checks), len(checks))
    return (
        f"Accuracy: {share.value:.0%} ({share.low:.0%} to {share.high:.0%}) of {len(checks):,} tickets drawn at random and "
        f"judged by people; its report said {held_out:.0%} on held-out tickets."
    )


def hours_line(
    figures: DutyFigures, work: Workload, line: CaseLine | None, seconds: float, is_live: bool
) -> str:
    """The hours that right answers save, in total and per month, beside the measurement's forecast.

    Before any answer was checked the line assumes the promised error rate and says so.
    """
    if not figures.answers:
        return ""
    wrong = figures.error.value if figures.checks else work.error_rate
    hours = figures.answers * (1 - wrong) * work.minutes_by_hand / 60
    pace = hours * MONTH_S / seconds
    verb = "saved" if is_live else "would have saved"
    basis = "" if figures.checks else f", if {wrong:.0%} of them are wrong"
    text = f"Hours: its right answers {verb} {hours:,.1f} so far ({work.minutes_by_hand:g} min each{basis}), {pace:,.0f} a month at this pace"
    if line is None or line.share is None:
        return f"{text}; none were forecast."
    return f"{text}; forecast were {line.hours:,.0f} for {work.volume:,} tickets a month, {line.share.value:.0%} of them answered alone."


def held_out_accuracy(services: Services, watch: Watch) -> float | None:
    """The accuracy of the model on duty in its own report."""
    job = _job(services, watch.version)
    report = read_report(job.report) if job else None
    model = report.tuned if isinstance(report, FinetuneReport) else None
    score = model.overall("accuracy") if model else None
    return score.value if score else None


def measured_workload(services: Services, watch: Watch) -> tuple[Workload, CaseLine | None] | None:
    """The workload and the fine-tune's line of the newest measurement on the same dataset.

    Only measurements of this channel, or of the channel where the model was trained, since others are private.
    """
    channels = {watch.channel, *(job.channel for job in [_job(services, watch.job_id)] if job)}
    jobs = services.ledger.jobs(
        states=[State.SUCCEEDED], dataset=watch.dataset, kind="measure", limit=JOBS_READ
    )
    for job in sorted(jobs, key=lambda one: one.ended_at or one.updated_at, reverse=True):
        report = read_report(job.report) if job.channel in channels else None
        if not isinstance(report, MeasurementReport) or report.business is None:
            continue
        lines = [line for line in report.business.lines if line.kind == "tuned" and line.share is not None]
        return report.business.workload, max(lines, key=lambda line: line.hours, default=None)
    return None


def _job(services: Services, job_id: str) -> Job | None:
    try:
        return services.ledger.job(job_id)
    except WorkerError:
        return None
