"""The kind `try`: one ticket through a finished job's model; seconds, no card, ahead of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.jobs.records import JOB_ID
from worker.kinds.job_kind import JobKind, JobSpec, Report, without_quotes

if TYPE_CHECKING:
    from worker.runtime.attempt import Work

TRY = "try"


def run(work: Work) -> Report:
    """Answers one ticket with the model, before and after training, with finetune.serving.predict."""
    from finetune.errors import CorruptModel, FinetuneError
    from finetune.reports.trial import TrialReport, TrialSide
    from finetune.serving.predict import try_both

    spec = work.envelope.spec
    model, root = str(spec["model"]), str(spec["root"])
    if not JOB_ID.fullmatch(root):
        raise FinetuneError("This try names no job.")
    try:
        sides = try_both(work.folder.parents[1] / root, str(spec["text"]), find_endpoint=work.find_endpoint)
    except CorruptModel as error:
        raise CorruptModel(
            f"The files of model {model} are gone or damaged on this worker, so nothing can answer. "
            f"`/jobs retry {model}` trains it again."
        ) from error
    before, after = (
        TrialSide(side.name, side.answer, side.ranked, side.seconds) if side else None
        for side in (sides.before, sides.after)
    )
    return TrialReport(sides.after.answer[:200], after, before).to_json()


def forget_spec(spec: JobSpec) -> dict[str, Any]:
    """The recipe without the ticket that was typed."""
    return {**spec, "text": ""}


def forget_report(report: Report) -> Report:
    """The report without quotes and without the model's answer, which is its headline."""
    return without_quotes(report) | {"headline": ""}


KIND = JobKind(
    TRY,
    "Try",
    run,
    at_front=True,
    in_lists=False,
    has_card=False,
    forget_spec=forget_spec,
    forget_report=forget_report,
)
