"""The measured verdict: scores cheaper methods, trains a pilot, forecasts the full run, prices it, decides.

Reads top to bottom as it runs. Held-out rows are only ever scored: which method is best, whether a pilot runs and
which prompt counts are decided on the validation rows (tests/finetune/measurement/test_held_out_rows.py tries to leak them). Time
is counted in seconds of this process's own work, so that other people's load changes no decision.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from finetune.artifacts import PROMPTED
from finetune.catalog import MINILM
from finetune.data.ticket import Tickets
from finetune.device import work_seconds
from finetune.estimate import measuring_limit_s
from finetune.evaluation import baselines
from finetune.evaluation.baselines import CheapMethods
from finetune.evaluation.forecast import Forecast, ForecastPoint, Point, forecast
from finetune.evaluation.learning_curve import Answers, curve_points, rising_classes, slice_score
from finetune.evaluation.predictions import Predictions, SystemScore, score, score_system
from finetune.evaluation.sample import DRIFT, Embed, Sample, data_warnings, drift_warnings
from finetune.evaluation.texts import text_warnings
from finetune.measurement.budget import Budget
from finetune.measurement.evidence import Evidence, on_same_rows
from finetune.measurement.figures import price_and_decide
from finetune.measurement.findings import Findings, MeasureContext, MeasureError, Request
from finetune.measurement.pilot import (
    Pilot,
    PilotRun,
    pilot_of,
    plan_pilot,
    run_pilot,
    within_reach,
)
from finetune.measurement.report import assemble, finished_report, too_few, write
from finetune.measurement.sample_size import CurveProgress, Resources, ScoredSample, find_sample
from finetune.methods import PILOT
from finetune.progress import FINISH, Progress
from finetune.reports.measurement import MeasurementReport
from finetune.reports.parts import Interval, Spent
from finetune.tasks.triage.data import on_holdout
from finetune.tasks.triage.prompts import PromptAnswers, prompt_answers

MIN_ROWS = 50
PROMPTS_S = 300.0  # of waiting for a language model's server
AHEAD = (1.25, 1.5, 2.0, 3.0, 4.0)  # times the rows at hand


def measure(tickets: Tickets, request: Request, context: MeasureContext) -> dict[str, Any]:
    """The report (kind "measure"), JSON-able; folder/report.json is written last, and a finished folder returns it.

    Raises MeasureError on an impossible request, Stopped within seconds of `should_stop` giving a reason; the same
    folder, or another one with this as `earlier`, then goes on.
    """
    if (report := finished_report(context.folder, tickets, request)) is not None:
        return report
    began, clock = time.monotonic(), context.clock or work_seconds
    progress = Progress(context.emit, context.should_stop)
    progress.phase("loading")
    labels = _labels(tickets)
    if (labelled := sum(label is not None for label in labels)) < MIN_ROWS:
        few = too_few(tickets, request, labelled, MIN_ROWS, context.dataset)
        return write(context.folder, _timed(few, began))
    _go_on_from(context)
    budget = Budget(clock, context.allowed_s or measuring_limit_s(labelled))
    embed = context.embed or _default_embed(tickets)
    resources = Resources(embed, progress, context.folder, budget, getattr(embed, "key", MINILM))
    trial = find_sample(tickets.rows, labels, request.seed, request.metric, resources)
    sample = trial.sample
    row_s = trial.cost.tuned_per_row
    findings = Measurement(sample, request, context, progress, budget, tickets.digest, row_s).findings(trial)
    progress.phase("reporting")
    verdict = price_and_decide(findings, sample, request, context)
    result = assemble(findings, verdict, sample, request, tickets, context)
    return write(context.folder, _timed(result, began))


def _timed(report: MeasurementReport, began: float) -> MeasurementReport:
    return replace(report, spent=Spent(wall_s=round(time.monotonic() - began, 1)))


def _labels(tickets: Tickets) -> list[str | None]:
    """Every row's label; MeasureError where there are rows and none has one."""
    labels = [row.label for row in tickets.rows]
    if labels and not any(label is not None for label in labels):
        raise MeasureError("These tickets have no labels. Measuring needs the queue each ticket belongs to.")
    return labels


def _default_embed(tickets: Tickets) -> Embed:
    from finetune.training.embedding import embedder_for

    return embedder_for(tickets.texts)


def _go_on_from(context: MeasureContext) -> None:
    """Reuses embeddings and paid answers of a language model from an earlier undecided measurement."""
    if context.earlier is None or not context.earlier.is_dir():
        return
    context.folder.mkdir(parents=True, exist_ok=True)
    for file in (*context.earlier.rglob("embeddings-*.npy"), *context.earlier.rglob(PROMPTED)):
        if not (context.folder / file.name).exists():
            shutil.copyfile(file, context.folder / file.name)


@dataclass
class Measurement:
    """One running measurement: its split, request and resources.

    `tuned_s_per_row` is a row's pass through the network that a pilot tunes.
    """

    sample: Sample
    request: Request
    context: MeasureContext
    progress: Progress
    budget: Budget
    digest: str
    tuned_s_per_row: float
    _short_pilot: str = field(default="", init=False)

    def findings(self, trial: ScoredSample) -> Findings:
        """The sample's baselines, prompts, curve, fine-tune pilot and forecasts, in this order."""
        sample, request, progress = self.sample, self.request, self.progress
        cheap, ladder, baseline = trial.cheap, trial.ladder, trial.baseline
        notes = [*data_warnings(sample), *text_warnings(sample.texts, request.seed, sample.encoder)]
        progress.phase("baselines")
        scores = {system.name: score_system(system, sample.truth, len(sample.names)) for system in ladder}
        drift = drift_warnings(
            sample,
            baseline.choosing_score,
            cheap.validation_rows,
            scores[baseline.name].score(request.metric).value,
        )
        prompts = self._prompts()
        best = _better(baseline, prompts)
        progress.phase("curve")
        answers: Answers = {}
        score_of = slice_score(sample, cheap, baseline.name, request.metric, request.seed, answers)
        watch = CurveProgress(trial, self.budget)
        points = curve_points(sample.train_rows, score_of, progress, watch)
        evidence = tuple(on_same_rows(self.context.evidence, self.digest, request.seed, sample))
        value = scores[baseline.name].score(request.metric)
        pilot, missing = self._pilot(cheap, best, baseline, evidence)
        progress.phase("evaluating")
        floor = scores[baselines.MAJORITY].score(request.metric).value
        more, at_all, now = _forecasts(points, sample, floor, value)
        lines = [*scores.values(), *(_prompt_line(sample, system) for system in prompts.systems)]
        texts = [trial.reason, *(caution.text for caution in (*notes, *drift)), *prompts.notes]
        texts += [_thin_curve(watch.left_out, len(points)), self._short_pilot]
        return Findings(
            [*ladder, *prompts.systems],
            lines,
            best,
            points,
            more,
            at_all,
            pilot,
            missing,
            next(iter(within_reach([at_all, now], pilot)), None) if pilot else None,
            within_reach(more.ahead, pilot) if pilot else (),
            baselines.permutation_p_value(baseline.labels, sample.truth),
            evidence,
            any(caution.kind == DRIFT for caution in drift),
            [text for text in texts if text],
            rising_classes(sample, answers),
        )

    def _prompts(self) -> PromptAnswers:
        """A language model's answers within its spending cap; nothing where none is configured."""
        llm = self.context.llm
        if llm is None:
            return PromptAnswers()
        llm, request = replace(llm, prices=self.context.prices), self.request
        return prompt_answers(
            llm, self.sample, self.context.folder, request.seed, self.progress, request.metric, PROMPTS_S
        )

    def _pilot(
        self,
        cheap: CheapMethods,
        best: Predictions,
        baseline: Predictions,
        evidence: tuple[Evidence, ...],
    ) -> tuple[Pilot | None, float | None]:
        """The gain of a fine-tune, and the minutes of a pilot that could change the decision but was not run.

        A model that a job left on the same rows is the best evidence there is, an earlier pilot the next best. A hosted one
        is an alternative of its own: it says nothing of training here.
        """
        evidence = tuple(one for one in evidence if not one.model_there)
        sample, request = self.sample, self.request
        if evidence and not evidence[0].pilot:
            return _against(pilot_of(evidence[0]), sample, baseline, request.metric), None
        plan = plan_pilot(sample, self.budget.left, self.tuned_s_per_row)
        validation_rows = len(sample.once.dev) if best.role == "prompt" else cheap.validation_rows
        if _clearly_met(best, validation_rows, request.target):
            return None, plan.seconds / 60 if plan else None
        if evidence and (evidence[0].whole or plan is None or evidence[0].rows >= plan.rows or not plan.fits):
            return pilot_of(evidence[0]), None
        if plan is None:
            return None, None
        if not plan.fits and not request.whole_pilot:
            return None, plan.seconds / 60
        self.progress.note(
            f"A {PILOT.short_name} pilot on {plan.rows:,} tickets: the cheap methods may miss the target."
        )
        self.progress.phase("pilot")
        run = PilotRun(plan.rows, plan.epochs, baseline, request.metric, request.seed, self.context.folder)
        return self._in_time(sample, cheap, run, plan.seconds)

    def _in_time(
        self, sample: Sample, cheap: CheapMethods, run: PilotRun, planned_s: float
    ) -> tuple[Pilot, float | None]:
        """The pilot; one that would overrun stops after the epochs so far, and then the full one is still missing."""

        def reason() -> str | None:
            is_over = self.budget.left_for_scores < 0 and not self.request.whole_pilot
            return self.progress.reason_to_stop() or (FINISH if is_over else None)

        progress = Progress(self.progress.emit, reason)
        pilot = run_pilot(sample, cheap, run, progress)
        if not progress.finish_early:
            return pilot, None
        self._short_pilot = (
            "The pilot ended before its last epoch: its time was over. A whole one may gain more."
        )
        return replace(pilot, whole=False), max(planned_s, 2 * pilot.seconds) / 60


def _thin_curve(left_out: int, points: int) -> str:
    if not left_out:
        return ""
    return (
        f"The learning curve rests on {points} of {points + left_out} trainings: the others would have taken longer "
        "than the time allowed."
    )


def _against(pilot: Pilot, sample: Sample, baseline: Predictions, metric: str) -> Pilot:
    """The pilot with its gain over this measurement's cheap method; as the job told it where that is the same one.

    Both are scored on the rows that the pilot was tested on, one fold where tickets are few.
    """
    if pilot.against == baseline.name and metric == "accuracy":
        return pilot
    truth, theirs = sample.labels[sample.once.test], on_holdout(sample, baseline).labels
    gain = pilot.score.score(metric).value - score(truth, theirs, metric, len(sample.names))
    half = pilot.gain.half_width
    return replace(pilot, against=baseline.name, gain=Interval(gain, gain - half, gain + half))


def _prompt_line(sample: Sample, system: Predictions) -> SystemScore:
    return score_system(system, sample.labels[system.rows], len(sample.names))


def _better(baseline: Predictions, prompts: PromptAnswers) -> Predictions:
    """The better one on the validation rows."""
    prompt = next((system for system in prompts.systems if system.name == prompts.best), None)
    if prompt is None or (prompt.choosing_score or 0.0) <= (baseline.choosing_score or 0.0):
        return baseline
    return prompt


def _clearly_met(best: Predictions, rows: int, target: float) -> bool:
    """Whether the `rows` validation rows show, beyond noise, that the target is met without a fine-tune."""
    if best.choosing_score is None:
        return False
    noise = np.sqrt(best.choosing_score * (1 - best.choosing_score) / max(1, rows))
    return bool(best.choosing_score - noise >= target)


def _forecasts(
    points: list[Point], sample: Sample, floor: float, baseline: Interval
) -> tuple[Forecast, ForecastPoint | None, ForecastPoint]:
    """The sizes of AHEAD, or all rows at hand and twice that where a sample was measured; all rows; today."""
    rows, total = sample.train_rows, sample.all_train_rows
    is_sample = total > 1.05 * rows
    sizes = [total, 2 * total] if is_sample else [round(times * rows) for times in AHEAD]
    more = forecast(points, sizes, sample.held_out, floor)
    now = ForecastPoint(
        rows, 1.0, baseline.value, baseline.value, baseline.value, baseline.low, baseline.high, "number"
    )
    return more, more.at(total) if is_sample else None, now
