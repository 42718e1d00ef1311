"""Builds the alternatives of a measurement's business case: by hand, cheap, each prompt, the fine-tune. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune.evaluation.baselines import best_trained
from finetune.evaluation.predictions import SystemScore
from finetune.evaluation.risk_coverage import rate_at_most
from finetune.measurement.business import Alternative, BusinessCase, business_case, workload_of
from finetune.methods import CHEAP, PILOT
from finetune.reports.costs import CostPart, Workload
from finetune.reports.parts import Interval

if TYPE_CHECKING:
    from finetune.measurement.evidence import Evidence
    from finetune.measurement.findings import Findings, MeasureContext, Request


def case_of(findings: Findings, costs: CostPart, request: Request, context: MeasureContext) -> BusinessCase:
    """Hours and dollars a month of every alternative: nothing, the cheap method, each price tier, the fine-tune."""
    work = workload_of(
        request.volume, request.minutes_by_hand, request.price_per_wrong, request.error_rate, context.prices
    )
    rate = rate_at_most(work.error_rate)
    machine, model = costs.serving_usd_month, context.llm.model if context.llm else None
    cheap = findings.score_of(best_trained(findings.systems))
    options = [
        Alternative("by hand, as today", "nothing", Interval(0.0, 0.0, 0.0)),
        Alternative(
            "today's cheap method", "trained", cheap.automatic.get(rate), machine, _once(costs, CHEAP.name)
        ),
    ]
    best = max((line for line in findings.scores if line.role == "prompt"), key=_accuracy, default=None)
    options += [
        Alternative(line.option, "prompt", _prompt_share(line.option, best, model, work), line.usd_month)
        for line in costs.serving
        if line.kind == "api"
    ]
    if findings.pilot:
        share = findings.pilot.score.automatic.get(rate)
        options.append(Alternative("the fine-tune", "tuned", share, machine, _once(costs, PILOT.name)))
    options += [_kept_there(one, work) for one in findings.evidence if one.model_there]
    return business_case(work, options)


def _kept_there(evidence: Evidence, work: Workload) -> Alternative:
    """A model that a platform has tuned and hosts: priced by the ticket, without confidences, already trained."""
    share = 1.0 if 1 - evidence.score.accuracy.value <= work.error_rate else 0.0
    usd_month = work.volume / 1000 * evidence.usd_per_1000
    return Alternative(evidence.name, "hosted", Interval(share, share, share), usd_month)


def _once(costs: CostPart, method: str) -> float:
    """The upper estimate of this method's training cost here; 0 where it was not measured."""
    line = costs.training_of(method)
    return line.usd_high if line else 0.0


def _prompt_share(
    option: str, best: SystemScore | None, model: str | None, work: Workload
) -> Interval | None:
    """The automatic share of a prompt, which has no confidences: all tickets where it keeps the error rate, else none; None where not measured."""
    if best is None or model is None or option != f"prompt {model}":
        return None
    share = 1.0 if 1 - best.accuracy.value <= work.error_rate else 0.0
    return Interval(share, share, share)


def _accuracy(line: SystemScore) -> float:
    return line.accuracy.value
