"""From what a measurement found to its decision: the bill, the business case, and the figures that decide. Pure."""

from __future__ import annotations

from dataclasses import replace

from finetune.evaluation import baselines
from finetune.evaluation.predictions import Predictions
from finetune.evaluation.sample import Sample
from finetune.measurement.alternatives import case_of
from finetune.measurement.bill import BillFacts, bill
from finetune.measurement.business import BusinessCase
from finetune.measurement.decision import Figures, TrainedModel, decide
from finetune.measurement.findings import Bench, Findings, Request
from finetune.measurement.report import PricedDecision
from finetune.methods import PILOT
from finetune.pricing import tokens_of
from finetune.reports.costs import CostPart


def price_and_decide(findings: Findings, sample: Sample, request: Request, bench: Bench) -> PricedDecision:
    """The decision and its bill; priced twice, since what there is to label follows from the decision."""
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
    costs = bill(bench.prices, facts)
    case = case_of(findings, costs, request, bench)
    decision = decide(_figures(findings, sample, request, costs, systems, case))
    return PricedDecision(
        decision, bill(bench.prices, replace(facts, rows_to_label=decision.rows_to_label)), case
    )


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
    model = None
    if pilot is not None and pilot.kept:
        score, on_all = pilot.score.score(request.metric).value, findings.finetune
        if pilot.test < sample.held_out and on_all is not None:  # tested on one fold: what is expected on all
            score = on_all.value
        model = TrainedModel(pilot.job, pilot.score.name, score)
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
        trained_model=model,
        by_prompt=findings.best.role == "prompt",
        metric=request.metric,
    )
