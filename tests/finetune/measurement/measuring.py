"""What the tests of the measurement share: tickets from the bundled sample, embedded once, and the prices."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from finetune.data.split import Split
from finetune.data.ticket import Ticket, Tickets
from finetune.evaluation.sample import Fold, Sample
from finetune.measurement.findings import MeasureContext, Request
from finetune.measurement.run import measure

ROOT = Path(__file__).parents[3]
PRICES: dict[str, Any] = yaml.safe_load((ROOT / "bot/prices.yaml").read_text())


def sample_rows() -> list[tuple[str, str]]:
    """The bundled sample's texts and labels."""
    with (ROOT / "finetune/samples/tickets.csv").open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def tickets(rows: Sequence[tuple[str, str]], days: Sequence[int] | None = None) -> Tickets:
    """Rows as tickets; `days` gives each its day after 2026-01-01."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    dates = [start + timedelta(days=int(day)) for day in days] if days is not None else [None] * len(rows)
    return Tickets(
        tuple(
            Ticket(id=str(at), text=text, label=label, created_at=when)
            for at, ((text, label), when) in enumerate(zip(rows, dates, strict=True))
        ),
        "triage",
    )


def cut_sample(train: int, dev: int, test: int, classes: int = 4) -> Sample:
    """Made-up rows of so many classes, each class a word and a cloud of vectors that lie apart; cut in this order."""
    rng, rows = np.random.default_rng(0), train + dev + test
    labels = np.arange(rows) % classes
    features = np.eye(classes)[labels] + 0.2 * rng.normal(size=(rows, classes))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    words = [" ".join("".join(rng.choice(list("abcdefgh"), 6)) for _ in range(6)) for _ in range(rows)]
    tickets_ = tuple(
        Ticket(id=str(at), text=f"{'abcdefgh'[labels[at]] * 9} {words[at]}", label=str(labels[at]))
        for at in range(rows)
    )
    sides = np.split(np.arange(rows), [train, train + dev])
    once = Fold(*sides)
    cut = Split(*(tuple(map(int, side)) for side in sides), "")
    names = tuple(map(str, range(classes)))
    return Sample(tickets_, labels, names, features, once, (once,), cut, rows, 0.01)


VECTORS = ROOT / ".pytest_cache" / "vectors"


class CountingEmbedder:
    """The real MiniLM, remembering what it has embedded, so that all processes that test pay for a list of texts once.

    Lists, not texts: what stands beside a text in a batch moves its vector in the last digits. A list is embedded anew
    once the code that embeds, torch or the machine's vector unit is another.
    """

    def __init__(self) -> None:
        import torch

        from finetune.training import embedding

        self._embed = embedding.FrozenEmbedder()
        self._code = [
            Path(embedding.__file__).read_text(),
            torch.__version__,
            torch.backends.cpu.get_cpu_capability(),
            torch.get_num_threads(),
        ]
        self.count = 0

    def __call__(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        self.count += len(texts)
        name = hashlib.sha256(json.dumps([*self._code, *texts]).encode()).hexdigest()
        file = VECTORS / f"{name}.npy"
        if not file.exists():
            vectors = self._embed(texts, check)
            VECTORS.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=VECTORS, delete=False) as draft:
                np.save(draft, vectors)
            Path(draft.name).replace(file)
        rows: np.ndarray = np.load(file)
        return rows


def measurement_of(
    rows: Tickets, target: float, folder: Path, embed: CountingEmbedder, **more: Any
) -> dict[str, Any]:
    """A whole measurement, told to nobody."""
    form = {name: more.pop(name) for name in list(more) if name in Request.__dataclass_fields__}
    context = {"emit": lambda _: None, "should_stop": lambda: None, "prices": PRICES, "embed": embed}
    return measure(rows, Request(target, **form), MeasureContext(folder=folder, **{**context, **more}))


class Ticking:
    """A clock that goes on by `step` seconds at every look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now
