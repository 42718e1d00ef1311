"""The alternatives of one measurement as lines of its business case: by hand, cheap, each prompt, the fine-tune. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from finetune.evaluation.baselines import best_trained
from finetune.evaluation.predictions import SystemScore
from finetune.evaluation.risk_coverage import rate_at_most
from finetune.evaluation.statistics import Interval
from finetune.measurement.business import Alternative, BusinessCase, Workload, business_case, workload_of

if TYPE_CHECKING:
    from finetune.measurement.findings import Bench, Findings, Request


def case_of(findings: Findings, costs: Mapping[str, Any], request: Request, bench: Bench) -> BusinessCase:
    """Hours and dollars a month of every alternative: nothing, the cheap method, each price tier, the fine-tune."""
    work = workload_of(
        request.volume, request.minutes_by_hand, request.price_per_wrong, request.error_rate, bench.prices
    )
    rate = rate_at_most(work.error_rate)
    machine, model = float(costs["serving_usd_month"]), bench.llm.model if bench.llm else None
    cheap = findings.score_of(best_trained(findings.systems))
    linear = next((line["usd_high"] for line in costs["training"] if line["method"] == "linear"), 0.0)
    lora = next((line["usd_high"] for line in costs["training"] if line["method"] == "lora"), 0.0)
    options = [
        Alternative("by hand, as today", "nothing", Interval(0.0, 0.0, 0.0)),
        Alternative("today's cheap method", "trained", cheap.automatic.get(rate), machine, float(linear)),
    ]
    best = max((line for line in findings.scores if line.role == "prompt"), key=_accuracy, default=None)
    options += [
        Alternative(
            line["option"], "prompt", _prompt_share(line["option"], best, model, work), line["usd_month"]
        )
        for line in costs["serving"]
        if line["kind"] == "api"
    ]
    if findings.pilot:
        share = findings.pilot.score.automatic.get(rate)
        options.append(Alternative("the fine-tune", "tuned", share, machine, float(lora)))
    return business_case(work, options)


def _prompt_share(
    option: str, best: SystemScore | None, model: str | None, work: Workload
) -> Interval | None:
    """A prompt has no confidences: all tickets where it keeps the error rate, else none; None where not measured."""
    if best is None or model is None or option != f"prompt {model}":
        return None
    share = 1.0 if 1 - best.accuracy.value <= work.error_rate else 0.0
    return Interval(share, share, share)


def _accuracy(line: SystemScore) -> float:
    return line.accuracy.value
