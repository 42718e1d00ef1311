"""The measured verdict: score what is cheaper, train a pilot, forecast the full run, price it, decide."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune import cost, ladder
from finetune.decide import Decision, Measured, decide
from finetune.errors import FinetuneError
from finetune.forecast import Forecast, forecast
from finetune.pilot import run_pilot
from finetune.progress import Emit, Progress, ShouldStop
from finetune.split import split
from finetune.ticket import Tickets

LEAST_ROWS = 50
Embed = Callable[[Sequence[str]], np.ndarray]


class MeasureError(FinetuneError):
    """The question cannot be measured as asked."""


def check_request(target: float, volume: int, price_per_wrong: float | None) -> None:
    """Raises MeasureError where a figure of the request cannot be."""
    if 1 < target <= 100 and target != 1.01:
        pass
    if not 0 < target <= 1:
        hint = f" Did you mean {target / 100:g}?" if 2 <= target <= 100 else ""
        raise MeasureError(f"The target {target:g} is impossible: give a share of right answers from 0 to 1.{hint}")
    if volume < 0:
        raise MeasureError("Tickets per month cannot be negative.")
    if price_per_wrong is not None and price_per_wrong < 0:
        raise MeasureError("The price of a wrong answer cannot be negative.")


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
    seed: int = 7,
    embed: Embed | None = None,
) -> dict[str, Any]:
    """The report (contract: kind "measure") on labelled tickets; also written to folder/report.json, last.

    `target` is a share of right answers (0..1), `volume` tickets per month. Raises MeasureError on an impossible
    request and Stopped when asked to stop.
    """
    check_request(target, volume, price_per_wrong)
    began, progress = time.monotonic(), Progress(emit, should_stop)
    progress.phase("loading")
    rows = [row for row in tickets.rows if row.label is not None]
    if len(rows) < LEAST_ROWS:
        raise MeasureError(f"{len(rows)} labelled tickets are too few to measure anything: label at least {LEAST_ROWS}.")
    sides = split(tickets, seed)
    names, labels = np.unique([row.label for row in rows], return_inverse=True)
    features = (embed or _default_embed(progress))([row.text for row in rows])
    train, test = np.array(sides.train + sides.dev), np.array(sides.test)
    progress.phase("baselines")
    rungs = ladder.cheap_rungs(features, labels, train, test)
    progress.phase("training")

    def score(chosen: np.ndarray) -> float:
        progress.check()
        return float((ladder.predict_linear(features, labels, chosen, test) == labels[test]).mean())

    points, seconds = run_pilot(train, score, lambda done, of, eta: progress.step(done, of, None, eta))
    start = time.monotonic()
    rungs.append(ladder.rung(ladder.LINEAR, "trained", ladder.predict_linear(features, labels, train, test), labels[test], start))
    progress.phase("evaluating")
    more = forecast(points, [2 * len(train), 4 * len(train)], len(test), rungs[0].accuracy.value)
    best = max(rungs, key=lambda rung: rung.accuracy.value)
    seen = Measured(
        target, best.name, best.accuracy.value, best.accuracy.low, best.accuracy.high, len(train), len(test),
        rungs[0].accuracy.value, more=more,
    )
    decision = decide(seen)
    progress.phase("reporting")
    report = _report(decision, rungs, points, more, prices, volume, began)
    _write(folder, report)
    return report


def _default_embed(progress: Progress) -> Embed:
    from finetune.embed import FrozenEmbedder

    embedder = FrozenEmbedder()
    return lambda texts: embedder(texts, progress.check)


def _report(
    decision: Decision, rungs: list[ladder.Rung], points: list[Any], more: Forecast, prices: Mapping[str, Any],
    volume: int, began: float,
) -> dict[str, Any]:
    return {
        "kind": "measure",
        "headline": decision.headline,
        "decision": decision.choice,
        "deciding_figure": decision.deciding_figure,
        "would_change": list(decision.would_change),
        "ladder": [rung.to_json() for rung in rungs],
        "pilot": [{"method": ladder.LINEAR, "rows": p.rows, "seed": p.seed, "score": p.score} for p in points],
        "forecast": more.to_json(),
        "cost": {"as_of": prices.get("as_of")},
        "warnings": [],
        "signals": {},
        "plots": [],
        "time": {"wall_s": time.monotonic() - began},
        "provenance": {},
    }


def _write(folder: Path, report: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "report.json.part"
    part.write_text(json.dumps(report, indent=1), encoding="utf-8")
    os.replace(part, folder / "report.json")
