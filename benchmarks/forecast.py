"""How good the forecast of a learning curve is: pilots of 10, 25 and 50% against what 2x, 4x and all rows
gave.

    python benchmarks/forecast.py [--quick] [--json] [--repeats 10] [--tuned 1] [--sets banking77,digits] [--calibrate]

Each repeat shuffles a set, holds out up to 3,000 rows, runs the product's pilot (finetune/evaluation/learning_curve.py's sizes
and seeds, finetune/evaluation/baselines.py's and finetune/methods/linear.py's methods) inside the first 10, 25 or 50% of the
rest, forecasts, then trains on more rows of the same order and looks. The decision is finetune/measurement/decision.py's,
at targets 2.1 to 8 points away from what came. Baselines in the same run: today's score, and a power law
with an asymptote. Scores are cached under ~/.cache/trainwise-bench.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from scipy.optimize import nnls

from benchmarks.forecast_sets import CACHE, FEATURE_SETS, NAMES, load
from benchmarks.tuned_curves import tuned_records
from finetune.evaluation import baselines
from finetune.evaluation.forecast import ForecastPoint, Point, curve, forecast, power_law
from finetune.evaluation.learning_curve import sizes
from finetune.measurement.decision import Figures, decide
from finetune.training.linear_model import Words, fit_svm

FRACTIONS = (0.5, 0.25, 0.1)
SEEDS = {"logistic": 5, "svm": 3}
OFFSETS = (-8, -5, -3, -2.1, 2.1, 3, 5, 8)  # points between a target and the truth
SLOW_REPEATS = 3
QUICK = ("digits", "gaussians", "banking77-skewed", "sgd-service")
Train = Callable[[np.ndarray], float]


def main() -> None:
    options = _arguments()
    began = time.perf_counter()
    records = [
        record
        for method, repeats in (("logistic", options.repeats), ("svm", min(options.repeats, SLOW_REPEATS)))
        for name in options.sets
        if method == "logistic" or (name not in FEATURE_SETS and not options.quick)
        for repeat in range(repeats)
        for record in forecasts(name, method, curves(name, method, repeat))
    ]
    for name in options.sets if options.tuned else ():
        if name not in FEATURE_SETS:
            for repeat in range(options.tuned):
                records += tuned_records(name, _one_set(name), repeat, OFFSETS)
    for line in calibration(records) if options.calibrate else []:
        print(line)
    result = summary(records) | {"seconds": round(time.perf_counter() - began, 1), "machine": machine()}
    if not options.json:
        show(records, result)
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="four sets, two repeats, under a minute")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--sets", default=",".join(NAMES))
    parser.add_argument("--tuned", type=int, default=0, help="shuffles a set with LoRA pilots (minutes each)")
    parser.add_argument("--calibrate", action="store_true", help="fit the band, each set left out once")
    options = parser.parse_args()
    options.sets = QUICK if options.quick else [name for name in options.sets.split(",") if name]
    options.repeats = 2 if options.quick else options.repeats
    return options


def curves(name: str, method: str, repeat: int) -> dict[str, Any]:
    """Scores of the pilots' slices and of what came later, from the cache or measured now."""
    file = CACHE / f"curve-{method}-{name}-{repeat}.json"
    if not file.is_file():
        print(f"measuring {method} on {name}, repeat {repeat}", file=sys.stderr, flush=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_measure(name, method, repeat)))
    return json.loads(file.read_text())


def _measure(name: str, method: str, repeat: int) -> dict[str, Any]:
    features, labels, texts = _one_set(name)
    order = np.random.default_rng(1000 + repeat).permutation(len(labels))
    held_out = min(3_000, len(order) // 4)
    test, pool = order[:held_out], order[held_out:]
    train = _trainer(method, features, labels, texts, pool, test)
    pilots = []
    for fraction in FRACTIONS:
        rows = round(fraction * len(pool))
        points = [
            (size, seed, train(np.random.default_rng([repeat, seed]).permutation(pool[:rows])[:size]))
            for size in sizes(rows)
            for seed in range(1 if size == rows else SEEDS[method])
        ]
        later = {2 * rows, 4 * rows, len(pool)}
        outcomes = {
            min(size, len(pool)): train(pool[:size]) for size in sorted(later) if rows < size <= len(pool) + 4
        }
        pilots.append({"fraction": fraction, "points": points, "outcomes": outcomes})
    floor = float((labels[test] == np.bincount(labels[pool]).argmax()).mean())
    return {"held_out": held_out, "floor": floor, "pilots": pilots}


_sets: dict[str, Any] = {}


def _one_set(name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """One set in memory at a time; an encoder is only loaded where the cache misses."""
    if name not in _sets:
        _sets.clear()
        _sets[name] = load(name)
    return _sets[name]


def _trainer(
    method: str, features: np.ndarray, labels: np.ndarray, texts: list[str], pool: np.ndarray, test: Any
) -> Train:
    classes = int(labels.max()) + 1
    truth = labels[test]
    if method == "logistic":

        def logistic(rows: np.ndarray) -> float:
            model = baselines.logistic(features[rows], labels[rows], features[test], classes)
            return float((model.probabilities.argmax(axis=1) == truth).mean())

        return logistic
    matrix = Words.learn([texts[i] for i in pool])(texts, features)

    def svm(rows: np.ndarray) -> float:
        weights, bias = fit_svm(matrix[rows], labels[rows], classes, 0.5)
        return float(((matrix[test] @ weights.T + bias).argmax(axis=1) == truth).mean())

    return svm


def forecasts(name: str, method: str, scores: dict[str, Any]) -> list[dict[str, Any]]:
    """One record per forecast size: error, band and decisions, for us and for the baselines."""
    records = []
    for pilot in scores["pilots"]:
        points = [Point(int(rows), int(seed), score) for rows, seed, score in pilot["points"]]
        outcomes = {int(rows): score for rows, score in pilot["outcomes"].items()}
        ahead = forecast(points, list(outcomes), scores["held_out"], scores["floor"])
        base = {"set": name, "method": method, "fraction": pilot["fraction"], "refused": ahead.refused}
        if ahead.refused:
            records.append(base)
        size, means, _ = curve(points)
        records += [
            base | _record(item, outcomes[item.rows], points, size, 1 - means, scores) for item in ahead.ahead
        ]
    return records


def _record(
    item: ForecastPoint,
    came: float,
    points: list[Point],
    size: np.ndarray,
    errors: np.ndarray,
    scores: dict[str, Any],
) -> dict[str, Any]:
    straight = power_law(size, errors[None], np.array([float(item.rows)]))[0, 0]
    return {
        "times": round(item.times, 1),
        "gain": item.value - (1 - errors[-1]),
        "resolution": item.value * (1 - item.value) / scores["held_out"],
        "error": item.value - came,
        "covered": item.low <= came <= item.high,
        "width": item.high - item.low,
        "stay": 1 - errors[-1] - came,
        "law": 1 - asymptote(size, errors, item.rows) - came,
        "plain": float(1 - straight) - came,
        "right": decisions(points, item.rows, came, scores),
    }


def decisions(points: list[Point], rows: int, came: float, scores: dict[str, Any]) -> list[bool | None]:
    """For each target around the truth: was "this size reaches it" decided rightly (None: cannot tell)."""
    best = max(points, key=lambda point: point.rows)
    more = forecast(points, [rows], scores["held_out"], scores["floor"])
    answers: list[bool | None] = []
    for offset in OFFSETS:
        target = came + offset / 100
        if not 0 < target <= 1:
            continue
        score, test_rows = best.score, scores["held_out"]
        choice = decide(
            Figures(target, "linear", score, score, score, best.rows, test_rows, scores["floor"], more=more)
        )
        verdict = {"enough": True, "more_data": True, "not_worth_it": False}.get(choice.choice)
        answers.append(None if verdict is None else verdict == (came >= target))
    return answers


def asymptote(sizes_: np.ndarray, errors: np.ndarray, rows: int) -> float:
    """The usual recipe: a*n^-b + c fitted to all sizes, weighted by n."""
    best, value = np.inf, float(errors[-1])
    root = np.sqrt(sizes_)
    for exponent in np.linspace(0.05, 1.6, 63):
        x = (sizes_ / sizes_[-1]) ** -exponent

        (a, c), loss = nnls(np.stack([x, np.ones_like(x)], 1) * root[:, None], errors * root)
        if loss < best:
            best, value = loss, float(a * (rows / sizes_[-1]) ** -exponent + c)
    return value


def at(records: list[dict[str, Any]], times: float) -> list[dict[str, Any]]:
    return [r for r in records if not r["refused"] and abs(r["times"] - times) < 0.15]


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Median and 90th percentile of the absolute error in points, bias, coverage, and the baselines."""
    error = 100 * np.array([r["error"] for r in rows])
    right = [answer for r in rows for answer in r["right"]]
    return {
        "n": len(rows),
        "median_abs": round(float(np.median(np.abs(error))), 2),
        "p90_abs": round(float(np.percentile(np.abs(error), 90)), 2),
        "bias": round(float(error.mean()), 2),
        "coverage": round(100 * float(np.mean([r["covered"] for r in rows])), 1),
        "band_width": round(100 * float(np.mean([r["width"] for r in rows])), 1),
        "decision_right": round(100 * float(np.mean([answer is True for answer in right])), 1),
        "cannot_tell": round(100 * float(np.mean([answer is None for answer in right])), 1),
        **{
            f"{name}_median_abs": round(100 * float(np.median([abs(r[name]) for r in rows])), 2)
            for name in ("stay", "law", "plain")
        },
    }


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    answers = [r for r in records if not r["refused"]]
    groups = {"2x": at(records, 2), "4x": at(records, 4), "10x": [r for r in answers if r["times"] > 4.2]}
    groups["up_to_4x"] = [r for r in answers if r["times"] <= 4.2]
    groups["lora_pilot"] = [r for r in answers if r["method"] == "lora"]
    return {
        "benchmark": "forecast",
        "sets": len({r["set"] for r in records}),
        "refused": len(records) - len(answers),
        **{name: figures(rows) for name, rows in groups.items() if rows},
    }


def show(records: list[dict[str, Any]], result: dict[str, Any]) -> None:
    names = ("n", "median_abs", "p90_abs", "bias", "coverage", "band_width", "decision_right", "cannot_tell")
    names += ("stay_median_abs", "law_median_abs", "plain_median_abs")
    print(f"{'':34}" + " ".join(f"{name.replace('_median_abs', '').replace('_', ' '):>14}" for name in names))
    answers = [r for r in records if not r["refused"] and r["times"] <= 4.2]
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in answers:
        rows.setdefault((record["set"], record["method"]), []).append(record)
    lines = [(f"{name} {method}", figures(group)) for (name, method), group in rows.items()]
    lines += [
        (f"ALL {name}", result[name])
        for name in ("2x", "4x", "up_to_4x", "10x", "lora_pilot")
        if name in result
    ]
    for name, values in lines:
        print(f"{name:34}" + " ".join(f"{values[key]:>14}" for key in names))
    print(f"refused: {result['refused']}; {result['machine']}; {result['seconds']} s")


def calibration(records: list[dict[str, Any]]) -> list[str]:
    """GAIN and HELD_OUT fitted on all sets but one, and the coverage on the one left out (up to 4x)."""

    rows = [r for r in records if not r["refused"] and r["times"] <= 4.2]
    name = np.array([r["set"] for r in rows])
    error = np.array([r["error"] for r in rows])
    parts = np.array([(r["gain"] ** 2, r["resolution"] * np.log2(r["times"])) for r in rows])
    lines = []
    for left_out in [*sorted(set(name)), ""]:
        used = name != left_out
        square = np.minimum(error[used] ** 2, np.quantile(error[used] ** 2, 0.98))
        weights, _ = nnls(parts[used], square)
        sigma = np.sqrt(parts @ weights)
        scale = np.quantile(np.abs(error[used]) / sigma[used], 0.9) / 1.645
        others = ~used if left_out else used
        coverage = np.mean(np.abs(error[others]) < 1.645 * scale * sigma[others])
        lines.append(
            f"without {left_out or '-':18} GAIN {weights[0]:.3f} HELD_OUT {weights[1]:.2f} SCALE "
            f"{scale:.2f}: "
            f"covers {100 * coverage:.0f}%"
        )
    return lines


def machine() -> str:
    return f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
