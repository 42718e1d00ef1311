"""Turns findings into the decision: the bill, the business case, and the deciding figures. Pure."""

from __future__ import annotations

from dataclasses import replace

from finetune.evaluation import baselines
from finetune.evaluation.predictions import Predictions
from finetune.evaluation.sample import Sample
from finetune.evaluation.statistics import carried
from finetune.measurement.alternatives import case_of
from finetune.measurement.bill import BillFacts, bill
from finetune.measurement.business import BusinessCase
from finetune.measurement.decision import Figures, TrainedModel, decide
from finetune.measurement.evidence import Evidence
from finetune.measurement.findings import Findings, MeasureContext, Request
from finetune.measurement.pilot import Pilot
from finetune.measurement.report import PricedDecision
from finetune.methods import PILOT
from finetune.pricing import tokens_of
from finetune.reports.costs import CostPart


def price_and_decide(
    findings: Findings, sample: Sample, request: Request, context: MeasureContext
) -> PricedDecision:
    """The decision and its bill; computed twice, because the rows to label depend on the decision."""
    pilot = findings.pilot
    systems = [system for system in findings.systems if system.role == "trained"]
    facts = BillFacts(
        rows=sample.all_train_rows,
        tokens_per_row=tokens_of(sample.texts[:2_000]),
        classes=len(sample.names),
        volume=request.volume,
        linear_seconds=max(system.seconds for system in systems) * sample.all_train_rows / sample.train_rows,
        tuned_rows=pilot.rows if pilot else 0,
        tuned_seconds=pilot.seconds if pilot else 0.0,
    )
    costs = bill(context.prices, facts)
    case = case_of(findings, costs, request, context)
    decision = decide(_figures(findings, sample, request, costs, systems, case))
    return PricedDecision(
        decision, bill(context.prices, replace(facts, rows_to_label=decision.rows_to_label)), case
    )


def _model_in_hand(findings: Findings, sample: Sample, request: Request) -> TrainedModel | None:
    """The model that a job left here, or one at a platform where only that meets the target.

    One that was tested on one fold counts with what is expected of it on all.
    """
    pilot, model = findings.pilot, None
    if pilot is not None and pilot.kept:
        model = TrainedModel(pilot.job, pilot.score.name, _on_all(findings, pilot, sample, request.metric))
    if model is not None and model.score >= request.target:
        return model
    models = [
        TrainedModel(one.job, one.score.name, _on_all(findings, one, sample, request.metric))
        for one in findings.evidence
        if one.model_there
    ]
    best = max(models, key=lambda one: one.score, default=None)
    return best if best is not None and best.score >= request.target else model


def _on_all(findings: Findings, model: Pilot | Evidence, sample: Sample, metric: str) -> float:
    """A model's score on all held-out rows: its own, or its gain over the cheap method on one fold added to that one's."""
    level = next((line.score(metric) for line in findings.scores if line.name == model.against), None)
    if level is None or model.test >= sample.held_out:
        return model.score.score(metric).value
    return carried(level, model.gain).value


def _figures(
    findings: Findings,
    sample: Sample,
    request: Request,
    costs: CostPart,
    systems: list[Predictions],
    case: BusinessCase,
) -> Figures:
    """The figures that the decision rests on."""
    best, pilot = findings.score_of(findings.best).score(request.metric), findings.pilot
    floor = findings.scores[0].score(request.metric).value
    training = costs.training_of(PILOT.name)
    return Figures(
        target=request.target,
        best_name=findings.best.name,
        best=best.value,
        best_low=best.low,
        best_high=best.high,
        rows=sample.train_rows,
        held_out=sample.held_out,
        floor=floor,
        p_chance=findings.p_chance,
        at_all=findings.at_all,
        finetune=findings.finetune,
        more=findings.more,
        tuned_later=findings.tuned_later,
        extra_usd=case.extra_usd() if request.names_money else None,
        extra_usd_at_most=case.extra_usd("high") if request.names_money else None,
        training_usd=training.usd_high if training else 0.0,
        training_hours=(training.hours_high or 0.0) if training else 0.0,
        weak_classes=baselines.weak_classes(sample, systems),
        missing_minutes=findings.missing_minutes,
        whole_gain=pilot.gain if pilot is not None and pilot.whole else None,
        trained_model=_model_in_hand(findings, sample, request),
        by_prompt=findings.best.role == "prompt",
        metric=request.metric,
    )
