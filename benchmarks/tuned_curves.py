"""What benchmarks/forecast.py needs of fine-tunes: a pilot on a quarter of the rows, and LoRA trained on half and on all.

The pilot, its gain and how the gain is carried to more rows are the product's own (finetune/measurement/pilot.py). A
fine-tune of more rows is trained as the pilot is, with the job's own recipe and the same held-out rows. Results are kept under
~/.cache/trainwise-bench.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.forecast_sets import CACHE
from finetune.data.languages import encoder_for
from finetune.data.split import Split
from finetune.data.ticket import Ticket
from finetune.evaluation.baselines import CheapMethods, score_baselines
from finetune.evaluation.forecast import ForecastPoint, Point, forecast
from finetune.evaluation.learning_curve import curve_points, slice_score
from finetune.evaluation.predictions import Predictions, SystemScore
from finetune.evaluation.sample import Fold, Sample
from finetune.measurement.decision import Figures, decide
from finetune.measurement.pilot import RECIPE, Pilot, PilotRun, expected, run_pilot
from finetune.progress import silent
from finetune.reports.parts import Interval

ROWS, TEST_ROWS, DEV_SHARE = 640, 400, 0.12
TIMES = (2, 4)
METRIC, SEED = "accuracy", 7
VERDICTS = {"enough": True, "train": True, "more_data": True, "not_worth_it": False, "out_of_reach": False}


def tuned_records(
    name: str, data: tuple[np.ndarray, np.ndarray, list[str]], repeat: int, offsets: tuple[float, ...]
) -> list[dict[str, Any]]:
    """One record per forecast size, as benchmarks/forecast.py makes them, for the fine-tune."""
    file = CACHE / f"tuned-{name}-{repeat}.json"
    if not file.is_file():
        print(f"training LoRA on {name}, repeat {repeat}", file=sys.stderr, flush=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_measure(data, repeat)))
    scores = json.loads(file.read_text())
    points = [Point(*point) for point in scores["points"]]
    pilot, best = _pilot_of(scores), scores["best"]
    ahead = forecast(points, [rows for rows, _ in scores["outcomes"]], scores["held_out"], scores["floor"])
    base = {"set": name, "method": "lora", "fraction": 1 / TIMES[-1], "refused": ahead.refused}
    if ahead.refused:
        return [base]
    now = _now(best, pilot.rows)
    records = []
    for rows, came in scores["outcomes"]:
        item = expected(next(one for one in ahead.ahead if one.rows == rows), pilot)
        figures = [
            _figures(came + offset / 100, scores, ahead.at(rows), item, expected(now, pilot))
            for offset in offsets
            if 0 < came + offset / 100 <= 1
        ]
        answers = [VERDICTS.get(decide(one).choice) for one in figures]
        today = expected(now, pilot).value
        records.append(
            base
            | {
                "times": round(item.times, 1),
                "gain": item.value - today,
                "resolution": item.value * (1 - item.value) / scores["held_out"],
                "error": item.value - came,
                "covered": item.low <= came <= item.high,
                "width": item.high - item.low,
                **dict.fromkeys(("stay", "law", "plain"), today - came),
                "right": [
                    None if answer is None else answer == (came >= one.target)
                    for answer, one in zip(answers, figures, strict=True)
                ],
            }
        )
    return records


def _now(best: list[float], rows: int) -> ForecastPoint:
    """Today's score of the cheap method, with the noise of its held-out rows."""
    value, low, high = best
    return ForecastPoint(rows, 1.0, value, value, value, low, high, "number")


def _figures(
    target: float,
    scores: dict[str, Any],
    more: ForecastPoint | None,
    later: ForecastPoint,
    finetune: ForecastPoint,
) -> Figures:
    from finetune.evaluation.forecast import Forecast

    value, low, high = scores["best"]
    ahead = Forecast((more,) if more else ())
    rows, held_out, floor = finetune.rows, scores["held_out"], scores["floor"]
    return Figures(
        target,
        "linear",
        value,
        low,
        high,
        rows,
        held_out,
        floor,
        more=ahead,
        finetune=finetune,
        tuned_later=(later,),
    )


def _pilot_of(scores: dict[str, Any]) -> Pilot:
    value = Interval(scores["tuned"], scores["tuned"], scores["tuned"])
    line = SystemScore("Tuned with LoRA", "tuned", value, value, 0.0)
    gain = Interval(**scores["gain"])
    return Pilot(scores["rows"], scores["held_out"], RECIPE.epochs, 0.0, line, "", gain, whole=True)


def _measure(data: tuple[np.ndarray, np.ndarray, list[str]], repeat: int) -> dict[str, Any]:
    """The pilot on the smallest part with its curve, then LoRA on each larger one."""
    order = np.random.default_rng(2000 + repeat).permutation(len(data[1]))
    test, pool = order[:TEST_ROWS], order[TEST_ROWS : TEST_ROWS + ROWS]
    small = _sample(data, pool[: len(pool) // TIMES[-1]], test)
    cheap = CheapMethods(small)
    systems, best = score_baselines(small, cheap, METRIC, silent())
    pilot = _train(small, cheap, best)
    points = curve_points(small.train_rows, slice_score(small, cheap, best.name, METRIC, SEED), silent())
    right = best.labels == small.truth
    error = 1.96 * float(np.sqrt(right.mean() * (1 - right.mean()) / len(right)))
    outcomes = []
    for times in TIMES:
        sample = _sample(data, pool[: times * len(pool) // TIMES[-1]], test)
        larger = CheapMethods(sample)
        rival = score_baselines(sample, larger, METRIC, silent())[1]
        score = _train(sample, larger, rival).score.accuracy.value
        outcomes.append((times * small.train_rows, score))
    return {
        "rows": pilot.rows,
        "tuned": pilot.score.accuracy.value,
        "gain": pilot.gain.to_json(),
        "points": [(point.rows, point.seed, point.score) for point in points],
        "best": [float(right.mean()), float(right.mean()) - error, float(right.mean()) + error],
        "floor": float((systems[0].labels == small.truth).mean()),
        "held_out": len(test),
        "outcomes": outcomes,
    }


def _train(sample: Sample, cheap: CheapMethods, against: Predictions) -> Pilot:
    with tempfile.TemporaryDirectory() as folder:
        run = PilotRun(len(sample.once.train), RECIPE.epochs, against, METRIC, SEED, Path(folder))
        return run_pilot(sample, cheap, run, silent())


def _sample(data: tuple[np.ndarray, np.ndarray, list[str]], learning: np.ndarray, test: np.ndarray) -> Sample:
    """These rows as a measurement's sample: an eighth of the learning ones to choose, the classes of training first."""
    features, labels, texts = data
    rows = np.concatenate([learning, test])
    dev = round(DEV_SHARE * len(learning))
    places = np.arange(len(rows))
    once = Fold(places[dev : len(learning)], places[:dev], places[len(learning) :])
    train_classes = list(np.unique(labels[rows[once.train]]))
    classes = [*train_classes, *(label for label in np.unique(labels[rows]) if label not in train_classes)]
    number = {label: at for at, label in enumerate(classes)}
    tickets = tuple(Ticket(id=str(row), text=texts[row], label=str(labels[row])) for row in rows)
    numbers = np.array([number[labels[row]] for row in rows])
    validation = once.dev[numbers[once.dev] < len(train_classes)]
    once = Fold(once.train, validation, once.test)
    cut = Split(tuple(once.train), tuple(once.dev), tuple(once.test), "")
    names = tuple(map(str, classes))
    encoder = encoder_for(texts)
    return Sample(tickets, numbers, names, features[rows], once, (once,), cut, len(rows), 0.01, encoder)
