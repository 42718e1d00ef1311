"""Builds the report from the findings: the value, its pictures, and report.json as the completion mark."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.artifacts import REPORT, write_whole
from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import best_trained
from finetune.evaluation.forecast import Forecast, ForecastPoint
from finetune.evaluation.learning_curve import doubling_sentence
from finetune.evaluation.sample import Sample, drop_embeddings
from finetune.evaluation.statistics import carried
from finetune.measurement.business import BusinessCase
from finetune.measurement.business import sentence as case_sentence
from finetune.measurement.business_plot import BUSINESS_FILE, business_plot
from finetune.measurement.decision import Decision
from finetune.measurement.pilot import PILOT_FOLDER, Pilot
from finetune.measurement.plots import FILE, Picture, verdict_plot
from finetune.measurement.sentences import percent
from finetune.methods import PILOT
from finetune.pricing import money as dollars
from finetune.reports.comparison import held_out_answers
from finetune.reports.costs import CostPart
from finetune.reports.measurement import (
    CurvePoint,
    DecidingFigure,
    ForecastLine,
    ForecastPart,
    MeasurementReport,
)
from finetune.reports.parts import DatasetPart, HeldOutAnswers, Plot, Score, SystemLine

if TYPE_CHECKING:
    from finetune.measurement.evidence import Evidence
    from finetune.measurement.findings import Findings, MeasureContext, Request


@dataclass(frozen=True)
class PricedDecision:
    """The decision of a measurement with its bill and business case."""

    decision: Decision
    cost: CostPart
    case: BusinessCase


def assemble(
    findings: Findings,
    verdict: PricedDecision,
    sample: Sample,
    request: Request,
    tickets: Tickets,
    context: MeasureContext,
) -> MeasurementReport:
    """The report of a measurement, but for the time it took; draws the pictures into the context's folder."""
    context.folder.mkdir(parents=True, exist_ok=True)
    decision = verdict.decision
    doubling = (doubling_sentence(findings.more, findings.points), findings.by_class)
    return MeasurementReport(
        headline=decision.headline + (DRIFTS if findings.drifts else ""),
        decision=decision.choice,
        title=decision.title,
        pilot_minutes=decision.pilot_minutes,
        deciding_figure=decision.deciding_figure,
        would_change=decision.would_change,
        next_step=decision.next_step,
        rows_to_label=decision.rows_to_label,
        metric=request.metric,
        target=request.target,
        ladder=_ladder(findings, sample.held_out),
        answers=_answers(findings, sample),
        curve=_points(findings),
        pilot=findings.pilot.part if findings.pilot else None,
        forecast=forecast_part(findings.more, findings.finetune, findings.at_all, findings.tuned_later),
        doubling=" ".join(filter(None, doubling)),
        cost=replace(verdict.cost, sentence=_cost_sentence(verdict)),
        business=verdict.case.part,
        warnings=tuple(findings.warnings),
        signals=_signals(findings, sample, request, tickets, decision),
        prompt_scored=any(system.role == "prompt" for system in findings.systems),
        plots=(
            _plot(findings, verdict, request, context.folder),
            *([business_plot(verdict.case, context.folder / BUSINESS_FILE)] if request.volume else []),
        ),
        dataset=_dataset(sample, tickets, context.dataset),
        provenance=_provenance(tickets, request),
    )


DRIFTS = " Beware: the latest tickets score worse than older ones (drift)."


def _ladder(findings: Findings, held_out: int) -> tuple[SystemLine, ...]:
    """The table of alternatives: cheap systems and prompts, then every known fine-tune on these rows.

    A fine-tune that was tested on one fold of the `held_out` rows carries what is expected of it on all, as in its own report.
    """
    lines = [replace(one.line, best=one.name == findings.best.name) for one in findings.scores]
    pilot = findings.pilot
    if pilot:
        gain = Score(
            *(round(100 * value, 2) for value in (pilot.gain.value, pilot.gain.low, pilot.gain.high))
        )
        against = f"{pilot.against} on the same {pilot.rows:,} tickets"
        line = replace(pilot.score.line, name=pilot.name, role="tuned", job=pilot.job)
        expected = _expected(findings, pilot, held_out)
        lines.append(replace(line, gain_points=gain, against=against, expected=expected))
    for one in findings.evidence:
        if pilot is None or one.job != pilot.job:
            line = replace(one.score.line, name=one.name, role="tuned", job=one.job)
            lines.append(replace(line, expected=_expected(findings, one, held_out)))
    return tuple(lines)


def _expected(findings: Findings, model: Pilot | Evidence, held_out: int) -> Score | None:
    """The accuracy expected on all held-out rows of what was tested on one fold; None where it was tested on all."""
    level = next((line.accuracy for line in findings.scores if line.name == model.against), None)
    return None if level is None or model.test >= held_out else carried(level, model.gain).score


def _answers(findings: Findings, sample: Sample) -> HeldOutAnswers:
    """The best cheap method's predictions on the held-out tickets, for comparing two runs."""
    best, rows = best_trained(findings.systems), sample.test_rows
    ids = [sample.rows[i].id for i in rows]
    return held_out_answers(ids, sample.truth.tolist(), best.labels.tolist(), sample.names)


def _points(findings: Findings) -> tuple[CurvePoint, ...]:
    """The points of the learning curve."""
    best = findings.best
    method = best.name if best.role != "prompt" else best_trained(findings.systems).name
    points = sorted(findings.points, key=lambda point: (point.rows, point.seed))
    return tuple(CurvePoint(point.rows, point.score, point.seed, method) for point in points)


def forecast_part(
    more: Forecast,
    finetune: ForecastPoint | None,
    at_all: ForecastPoint | None,
    later: tuple[ForecastPoint, ...],
) -> ForecastPart:
    """The forecasts as the report has them, with a sentence."""
    return ForecastPart(
        ahead=tuple(map(_line, more.ahead)),
        tuned=_line(finetune) if finetune else None,
        tuned_later=tuple(map(_line, later)),
        all_rows=_line(at_all) if at_all else None,
        slope=more.slope,
        sentence=_sentence(more, finetune),
        refused=more.refused or "",
    )


def _line(ahead: ForecastPoint) -> ForecastLine:
    """A forecast with its bands for other tickets and for the same held-out ones."""
    bands = ahead.wide_low, ahead.wide_high, ahead.low, ahead.high
    return ForecastLine(ahead.rows, ahead.value, *bands, ahead.times, ahead.trust)


def _sentence(more: Forecast, finetune: ForecastPoint | None) -> str:
    """The forecast in words."""
    parts = [
        f"{item.rows:,} tickets: {percent(item.value)} ({100 * item.wide_low:.1f}-{100 * item.wide_high:.1f})"
        for item in more.ahead
        if item.trust != "direction" and (item.times >= 1.9 or len(more.ahead) < 4)
    ]
    if parts:
        parts[0] = f"The cheap method with {parts[0]}"
    parts += [f"beyond that only: {more.slope}" for item in more.ahead[-1:] if item.trust == "direction"]
    if finetune:
        parts.append(f"a {PILOT.short_name} fine-tune on {finetune.rows:,}: {percent(finetune.value)}")
    return "; ".join(parts) if parts else (more.refused or "")


def _cost_sentence(verdict: PricedDecision) -> str:
    """What is paid once, and what the best alternative leaves a month."""
    parts = [_once(verdict.cost, verdict.decision.choice), case_sentence(verdict.case).removesuffix(".")]
    return ". ".join(part for part in parts if part) + f". Prices as of {verdict.cost.as_of}."


def _signals(
    findings: Findings, sample: Sample, request: Request, tickets: Tickets, decision: Decision
) -> dict[str, Any]:
    """The findings in the advisor's vocabulary (rag/signals/schema.py): percentages, counts.

    That "nothing" meets the target is only said where a prompt was scored as well.
    """
    counts = dict(tickets.classes)
    best = findings.score_of(findings.best).score(request.metric).value
    prompt_scored = any(system.role == "prompt" for system in findings.systems)
    signals: dict[str, Any] = {
        "task": "classify",
        "examples": sample.total,
        "classes": len(counts),
        "per_class": round(float(np.median(list(counts.values())))),
        "eval_n": sample.held_out,
        "score": round(100 * best, 1),
        "target": round(100 * request.target, 1),
        "metric": request.metric,
    }
    if best >= request.target or prompt_scored:
        signals["baseline"] = "tried_ok" if best >= request.target else "tried_fail"
    if decision.meets is not None and (decision.meets != "nothing" or prompt_scored):
        signals["measured_best"] = decision.meets
    return signals | ({"volume_month": request.volume} if request.volume else {})


def _plot(findings: Findings, verdict: PricedDecision, request: Request, folder: Path) -> Plot:
    scores = [
        (line.name, line.score(request.metric).value)
        for line in findings.scores
        if line.role in ("lookup", "prompt")
    ]
    lines = sorted(scores, key=lambda line: -line[1])[:3]  # the picture has room for three: the best of them
    near = [item for item in findings.more.ahead if item.trust != "direction"]
    sizes = {item.rows for item in near}
    picture = Picture(
        title=verdict.decision.title,
        metric=request.metric,
        target=request.target,
        points=findings.points,
        lines=lines,
        ahead=near,
        finetune=findings.finetune,
        tuned_later=[item for item in findings.tuned_later if item.rows in sizes],
        money=ways_to_run(verdict.cost, verdict.case)[:5],
        once=_once(verdict.cost, verdict.decision.choice),
    )
    return verdict_plot(folder / FILE, picture)


def ways_to_run(cost: CostPart, case: BusinessCase) -> list[tuple[str, float]]:
    """The monthly cost of each way to run it that has a score in this report; others get no bar."""
    prompts = {line.name for line in case.lines if line.kind == "prompt" and line.share is not None}
    return [
        (line.option, line.usd_month)
        for line in cost.serving
        if line.usd_month > 0 and (line.kind == "cpu" or line.option in prompts)
    ]


def _once(cost: CostPart, choice: str) -> str:
    """What is paid once, for the picture."""
    training, labels = cost.training_of(PILOT.name), cost.labelling
    if choice == "more_data" and labels:
        return f"Once: about {dollars(labels.usd)} to label {labels.rows:,} tickets"
    if choice in ("train", "out_of_reach") and training:
        return f"Once: {dollars(training.usd_high)} of training on a CPU"
    return ""


def _dataset(sample: Sample, tickets: Tickets, name: str) -> DatasetPart:
    return DatasetPart(
        name=name,
        digest=tickets.digest,
        rows=sample.total,
        sample_rows=len(sample.rows),
        train=sample.train_rows,
        dev=len(sample.once.dev) if sample.one_split else 0,
        left_out=len(sample.cut.left_out),
        test=sample.held_out,
        classes=len(sample.names),
        split=sample.how,
        columns=dict(tickets.columns),
    )


def _provenance(tickets: Tickets, request: Request) -> dict[str, Any]:
    from finetune.provenance import origin

    return {**origin(), "dataset_sha256": tickets.digest, "request": request.to_json()}


def too_few(tickets: Tickets, request: Request, labelled: int, least: int, name: str) -> MeasurementReport:
    """The report where nothing can be measured: what to do before measuring."""
    enough = max(4 * least, 8 * len({row.label for row in tickets.rows if row.label is not None}))
    return MeasurementReport(
        headline=f"Cannot tell yet: {labelled} labelled tickets are too few to measure anything. Label at least "
        f"{enough} (and no fewer than 8 a class), and use a prompt until then.",
        decision="cannot_tell",
        title="Too few tickets to measure",
        deciding_figure=DecidingFigure("labelled tickets", labelled, "tickets"),
        would_change=(f"{enough} labelled tickets.",),
        next_step=f"Label {enough - labelled} more tickets.",
        rows_to_label=enough - labelled,
        metric=request.metric,
        target=request.target,
        forecast=ForecastPart(refused=f"{labelled} tickets are fewer than {least}."),
        signals={"task": "classify", "examples": labelled, "target": round(100 * request.target, 1)},
        dataset=DatasetPart(name=name, digest=tickets.digest, rows=labelled),
        provenance=_provenance(tickets, request),
    )


def write(folder: Path, report: MeasurementReport) -> dict[str, Any]:
    """Put report.json in place in one step, drop the cached embeddings, and return what is stored."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = report.to_json()
    write_whole(folder / REPORT, json.dumps(stored, indent=1, allow_nan=False))
    if report.decision != "undecided":  # its pilot goes on from the embeddings
        drop_embeddings(folder)
    shutil.rmtree(folder / PILOT_FOLDER, ignore_errors=True)
    return stored


def finished_report(folder: Path, tickets: Tickets, request: Request) -> dict[str, Any] | None:
    """The report of an earlier run of the same request on the same rows in this folder."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    provenance = report.get("provenance", {})
    same = (
        provenance.get("request") == request.to_json() and provenance.get("dataset_sha256") == tickets.digest
    )
    return report if same else None
