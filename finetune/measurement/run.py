"""The measured verdict: score what is cheaper, train a pilot, forecast the full run, price it, decide.

Reads top to bottom as it runs. Held-out rows are only ever scored: which method is best, whether a LoRA
pilot runs and which prompt counts are decided on the choosing rows (tests/finetune/test_measure_honest.py
tries to leak them).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune.data.ticket import Tickets
from finetune.evaluation import baselines
from finetune.evaluation.baselines import Linear, Rung
from finetune.evaluation.prompting import prompting_rungs
from finetune.evaluation.sample import Embed, Sample, draw, drift_warnings, warnings
from finetune.llm import AskLLM
from finetune.measurement.bill import Known, bill
from finetune.measurement.decision import Decision, Measured, decide
from finetune.measurement.findings import Found, MeasureError, Request
from finetune.measurement.forecast import Ahead, Forecast, Point, forecast
from finetune.measurement.pilot import TunedPilot, reached, rows_for, run_pilot, run_tuned, slices
from finetune.measurement.report import assemble, finished, too_few, write
from finetune.pricing import tokens_of
from finetune.progress import Emit, Progress, ShouldStop

LEAST_ROWS = 50
SMALL_RUN, SMALL_S, LARGE_S = 12_000, 270.0, 840.0  # rows, and seconds allowed up to there and beyond
PILOT_SHARE, PROMPT_SHARE = 0.3, 0.4
RESERVE_S = 10.0
AHEAD = (1.25, 1.5, 2.0, 3.0, 4.0)  # times the rows at hand
HOPELESS = 0.6  # share of the mistakes that no fine-tune has taken away (a third on the bundled sample)


def measure(
    tickets: Tickets,
    target: float,
    volume: int = 0,
    *,
    emit: Emit,
    should_stop: ShouldStop,
    folder: Path,
    prices: Mapping[str, Any],
    price_per_wrong: float | None = None,
    metric: str = "accuracy",
    seed: int = 7,
    dataset: str = "",
    allowed_s: float | None = None,
    embed: Embed | None = None,
    ask_llm: AskLLM | None = None,
    llm_model: str | None = None,
    spend_usd: float = 0.5,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """The report (kind "measure"), JSON-able; folder/report.json is written last, and a finished folder
    returns it.

    `target` is a share of right answers (0..1), `volume` tickets per month, `allowed_s` the seconds to aim
    at. `ask_llm` adds the prompting rungs for at most `spend_usd`. Raises MeasureError on an impossible
    request, Stopped within seconds of `should_stop` giving a reason; the same folder then goes on.
    """
    request = Request(float(target), int(volume), price_per_wrong, metric, seed)
    if (done := finished(folder, tickets, request)) is not None:
        return done
    began, progress = clock(), Progress(emit, should_stop, clock)
    progress.phase("loading")
    if (labelled := _labelled(tickets)) < LEAST_ROWS:
        return write(folder, too_few(tickets, request, labelled, LEAST_ROWS, dataset, clock() - began))
    allowed = allowed_s or (SMALL_S if labelled <= SMALL_RUN else LARGE_S)
    sample = draw(tickets, seed, embed or _default_embed(), progress, folder, allowed)

    def left() -> float:
        return allowed - (clock() - began) - RESERVE_S

    found = _look(sample, request, folder, progress, left, (ask_llm, llm_model, spend_usd, prices))
    progress.phase("reporting")
    decision, money = _decide(found, sample, request, prices)
    report = assemble(found, decision, money, sample, request, tickets, dataset, folder, clock() - began)
    return write(folder, report)


def _labelled(tickets: Tickets) -> int:
    """Rows with a label; MeasureError where there are rows and none has one."""
    count = sum(row.label is not None for row in tickets.rows)
    if count == 0 and len(tickets):
        raise MeasureError("These tickets have no labels. Measuring needs the queue each ticket belongs to.")
    return count


def _default_embed() -> Embed:
    from finetune.training.embedding import FrozenEmbedder

    return FrozenEmbedder()


def _look(
    sample: Sample, request: Request, folder: Path, progress: Progress, left: Callable[[], float], llm: Any
) -> Found:
    """Baselines, pilot, fine-tune pilot and forecasts."""
    notes, linear = warnings(sample), Linear(sample)
    progress.phase("baselines")
    rungs, name = baselines.climb(sample, linear, request.metric, progress)
    trained = best = next(made for made in rungs if made.name == name)
    p_chance = baselines.learnable(best.predicted, sample.truth)
    notes += drift_warnings(sample, best.dev, best.score(request.metric).value)
    ask, model, spend, prices = llm
    if ask is not None:
        made, winner, told = prompting_rungs(
            sample,
            ask,
            model,
            spend,
            prices,
            request.metric,
            request.seed,
            progress,
            PROMPT_SHARE * max(left(), 30.0),
        )
        rungs, notes = [*rungs, *made], notes + told
        best = _better(best, next((rung for rung in made if rung.name == winner), None))
    progress.phase("curve")
    score = slices(sample, linear, name, request.metric, request.seed)
    points = run_pilot(sample.train_rows, score, progress, PILOT_SHARE * max(left(), 30.0))
    pilot, told = _tuned(
        sample, linear, best, trained.name, rungs[0].dev or 0.0, request, folder, progress, left
    )
    progress.phase("evaluating")
    more, at_all, now = _forecasts(points, sample, rungs[0].score(request.metric).value, trained, request)
    tuned = next(iter(reached([at_all, now], pilot)), None) if pilot else None
    later = reached(more.ahead, pilot) if pilot else ()
    return Found(rungs, best, points, more, at_all, pilot, tuned, later, p_chance, notes + told)


def _better(trained: Rung, prompt: Rung | None) -> Rung:
    """The one that did better on the choosing rows."""
    return prompt if prompt is not None and (prompt.dev or 0.0) > (trained.dev or 0.0) else trained


def _tuned(
    sample: Sample,
    linear: Linear,
    best: Rung,
    method: str,
    floor: float,
    request: Request,
    folder: Path,
    progress: Progress,
    left: Callable[[], float],
) -> tuple[TunedPilot | None, list[str]]:
    """The LoRA pilot where the choosing rows say that it can matter, else None and why not."""
    if best.dev is None or request.metric != "accuracy":
        return None, []
    unsure = float(np.sqrt(best.dev * (1 - best.dev) / max(1, len(sample.folds[0].dev))))
    most = best.dev + unsure + HOPELESS * (1 - best.dev)
    if best.dev - unsure >= request.target or most < request.target:
        progress.note("No LoRA pilot: the cheap methods already tell which way the answer goes.")
        return None, []
    if best.dev - 2 * unsure <= floor:
        progress.note("No LoRA pilot: the cheap methods learn no more than the largest class.")
        return None, []
    rows = rows_for(sample, left())
    if not rows:
        return None, ["A LoRA pilot would have mattered, but there was no time or too few tickets for it."]
    progress.note(f"A LoRA pilot on {rows:,} tickets: the cheap methods miss the target narrowly.")
    progress.phase("pilot")
    return run_tuned(sample, linear, method, rows, request.seed, folder, progress), []


def _forecasts(
    points: list[Point], sample: Sample, floor: float, trained: Rung, request: Request
) -> tuple[Forecast, Ahead | None, Ahead]:
    """The sizes of AHEAD, or all rows at hand and twice that where a sample was measured; all rows; today."""
    rows, total = sample.train_rows, sample.all_train_rows
    sampled = total > 1.05 * rows
    at = [total, 2 * total] if sampled else [round(times * rows) for times in AHEAD]
    more = forecast(points, at, sample.held_out, floor, request.seed)
    value = trained.score(request.metric)
    now = Ahead(rows, 1.0, value.value, value.value, value.value, value.low, value.high, "number")
    return more, more.at(total) if sampled else None, now


def _decide(
    found: Found, sample: Sample, request: Request, prices: Mapping[str, Any]
) -> tuple[Decision, dict[str, Any]]:
    """The decision and its bill; priced twice, since what there is to label follows from the decision."""
    best, pilot = found.best.score(request.metric), found.pilot
    trained = [rung for rung in found.rungs if rung.role == "trained"]
    known = Known(
        rows=sample.all_train_rows,
        tokens_per_row=tokens_of(sample.texts[:2_000]),
        classes=len(sample.names),
        volume=request.volume,
        linear_seconds=max(rung.seconds for rung in trained) * sample.all_train_rows / sample.train_rows,
        tuned_rows=pilot.rows if pilot else 0,
        tuned_seconds=pilot.seconds if pilot else 0.0,
        gain=found.tuned.value - best.value if found.tuned else None,
        price_per_wrong=request.price_per_wrong,
    )
    money = bill(prices, known)
    run = next((line for line in money["training"] if line["method"] == "lora"), None)
    decision = decide(
        Measured(
            target=request.target,
            best_name=found.best.name,
            best=best.value,
            best_low=best.low,
            best_high=best.high,
            rows=sample.train_rows,
            held_out=sample.held_out,
            floor=found.rungs[0].score(request.metric).value,
            p_chance=found.p_chance,
            at_all=found.at_all,
            tuned=found.tuned,
            more=found.more,
            tuned_later=found.tuned_later,
            saved_usd=money["saved_usd_month"],
            serving_usd=money["serving_usd_month"],
            training_usd=run["usd_high"] if run else 0.0,
            training_hours=run["hours_high"] if run else 0.0,
            weak_classes=baselines.weak_classes(sample, trained),
        )
    )
    return decision, bill(prices, replace(known, rows_to_label=decision.rows_to_label))
