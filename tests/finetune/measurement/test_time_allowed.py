"""A measurement keeps its time whatever the rows are: classes, length of texts and number of trainings count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from finetune.catalog import MULTILINGUAL
from finetune.data.ticket import Ticket, Tickets
from finetune.evaluation import baselines
from finetune.measurement import sample_size
from finetune.measurement.findings import MeasureContext, Request
from finetune.measurement.run import measure
from finetune.training import linear_model
from tests.finetune.measurement.measuring import PRICES

pytestmark = pytest.mark.integration

ALLOWED_S = 60.0
Law = Callable[[int, int], float]  # (rows, classes) of a training to its seconds


class Meter:
    """A clock that goes on with the work that is done: texts embedded, and trainings by their rows and classes."""

    def __init__(self, law: Law, text_s: float = 0.001) -> None:
        self.now, self._law, self._text_s = 0.0, law, text_s
        self.trainings, self.slow_from = 0, 10**9

    def __call__(self) -> float:
        return self.now

    @property
    def multilingual(self) -> Multilingual:
        """The same, as the encoder of rows that are not English."""
        return Multilingual(self)

    def embed(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        """Unit rows from the texts' words."""
        self.now += self._text_s * len(texts)
        counts = HashingVectorizer(n_features=32, norm="l2").transform(texts)
        return np.asarray(counts.toarray(), dtype=np.float32)

    def count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every real training is fit_and_count before it runs."""
        for module, name in ((baselines, "logistic"), (baselines, "fit_svm"), (linear_model, "fit_svm")):
            monkeypatch.setattr(module, name, self._count_calls(getattr(module, name)))

    def _count_calls(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        def fit_and_count(features: Any, labels: np.ndarray, *more: Any) -> Any:
            self.trainings += 1
            slowness = 12 if self.trainings > self.slow_from else 1
            self.now += slowness * self._law(len(labels), len(np.unique(labels)))
            return fit(features, labels, *more)

        return fit_and_count


class Multilingual:
    """Embeds on a meter's time under the name of the multilingual encoder."""

    key = MULTILINGUAL

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __call__(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        return self._meter.embed(texts)


def many(rows: int, classes: int) -> Tickets:
    """Short tickets, each class with a word of its own."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), 7)) for _ in range(4 * rows)]
    lines = []
    for at in range(rows):
        label = f"queue {at % classes}"
        lines.append(Ticket(str(at), f"topic{at % classes} {' '.join(words[4 * at : 4 * at + 4])}", label))
    return Tickets(tuple(lines), "triage")


def measure_on(meter: Meter, rows: Tickets, folder: Path) -> dict[str, Any]:
    """A measurement with a target that no fine-tune is needed for, on the meter's time."""
    context = MeasureContext(
        folder,
        PRICES,
        lambda _: None,
        lambda: None,
        allowed_s=ALLOWED_S,
        embed=meter.embed,
        clock=meter,
    )
    return measure(rows, Request(0.02), context)


def linear(rows: int, classes: int) -> float:
    """Each row of each class costs the same."""
    return 4.5e-5 * rows * classes


def test_many_classes_are_measured_on_fewer_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """60 classes of short tickets: training costs, embedding does not; the sample is smaller, said so, and in time."""
    meter = Meter(linear)
    meter.count(monkeypatch)
    report = measure_on(meter, many(2_600, 60), tmp_path)
    assert meter.now <= ALLOWED_S
    assert 600 <= report["dataset"]["measured"] < 2_600
    assert any("random sample" in warning for warning in report["warnings"])
    assert len({point["rows"] for point in report["pilot"]}) >= 4


def test_few_classes_are_measured_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As many rows in 3 classes fit as a whole, by way of a smaller sample: nothing is left out or warned of."""
    meter = Meter(linear)
    meter.count(monkeypatch)
    report = measure_on(meter, many(2_600, 3), tmp_path)
    assert meter.now <= ALLOWED_S
    assert report["dataset"]["measured"] == 2_600
    assert not any("sample" in warning or "trainings" in warning for warning in report["warnings"])


def test_a_sample_that_takes_longer_than_predicted_is_dropped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From 1,400 rows on a training takes 80 times as long: the smaller sample is the report's, which says why."""
    meter = Meter(lambda rows, classes: 4e-5 * rows * classes * (80 if rows >= 1_400 else 1))
    meter.count(monkeypatch)
    report = measure_on(meter, many(2_600, 4), tmp_path)
    assert meter.now <= ALLOWED_S
    assert report["dataset"]["measured"] == 1_250
    assert any("2,600 turned out to take longer" in warning for warning in report["warnings"])


def test_a_curve_that_would_overrun_is_thinned_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """After the scores each training takes 12 times as long: the curve has fewer of them, and the report says so."""
    meter = Meter(linear)
    meter.count(monkeypatch)
    monkeypatch.setattr(meter, "slow_from", 12)
    report = measure_on(meter, many(900, 12), tmp_path)
    assert meter.now <= ALLOWED_S
    assert any("The learning curve rests on" in warning for warning in report["warnings"])


def test_long_texts_are_sampled_by_what_embedding_costs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """0.05 s a text leaves no time for a thousand: 625 are measured, in one split, and the report says of how many."""
    meter = Meter(lambda rows, classes: 1e-6 * rows * classes, text_s=0.05)
    meter.count(monkeypatch)
    report = measure_on(meter, many(2_600, 3), tmp_path)
    assert meter.now <= ALLOWED_S
    assert report["dataset"]["measured"] == 625
    assert report["dataset"]["rows"] == 2_600


def test_a_pilot_is_planned_by_the_network_that_it_tunes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rows that another encoder embeds in 1 ms, and MiniLM in 30 or 90: the pilot's minutes are MiniLM's."""
    minutes = []
    for text_s in (0.03, 0.09):
        meter, network = Meter(lambda rows, classes: 0.0), Meter(linear, text_s)
        monkeypatch.setattr(sample_size, "open_embedder", lambda key, network=network: network.embed)
        clock = lambda meter=meter, network=network: meter.now + network.now  # noqa: E731
        context = MeasureContext(
            tmp_path / str(text_s),
            PRICES,
            lambda _: None,
            lambda: None,
            allowed_s=11.0,  # the reserve, and no time for a pilot
            embed=meter.multilingual,
            clock=clock,
        )
        report = measure(many(300, 3), Request(1.0), context)
        assert report["decision"] == "undecided"
        minutes.append(report["pilot_minutes"])
    assert minutes[0] > 1
    assert minutes[1] == pytest.approx(3 * minutes[0])


def test_a_probe_of_one_class_is_timed_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One ticket in 40 is of the second queue and texts are slow: none of it among the first few that are tried."""
    meter = Meter(linear, text_s=0.1)
    meter.count(monkeypatch)
    rows = tuple(
        replace(row, label="rare" if at % 40 == 0 else "common") for at, row in enumerate(many(600, 2).rows)
    )
    report = measure_on(meter, Tickets(rows, "triage"), tmp_path)
    assert meter.now <= ALLOWED_S
    assert report["dataset"]["measured"] < 600
