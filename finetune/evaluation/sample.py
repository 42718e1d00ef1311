"""The rows of a measurement: sampled, embedded once, and split into training, validation and held-out rows.

Held-out rows (`Fold.test`) are only scored. Few rows are cross-validated instead: each row is held out once, there are no
validation rows, and nothing is selected.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.catalog import MINILM
from finetune.data.split import Split, split
from finetune.data.ticket import Ticket, Tickets
from finetune.device import work_seconds
from finetune.errors import TrainingDataError
from finetune.progress import Progress

BLOCK = 512

Embed = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Fold:
    """Row numbers: training, validation (may be empty) and held out."""

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Part:
    """Some rows of a sample: texts, class numbers and unit embeddings, row by row."""

    texts: list[str]
    labels: np.ndarray
    embeddings: np.ndarray


@dataclass(frozen=True)
class Sample:
    """Labelled rows with unit embeddings (n, d), cut once for every method; the dataset had `total` rows.

    `labels` index `names`, in which the classes of `once.train` come first. `once` is the one cut for a system
    that is trained only once; `folds` holds it alone, or every fold of a cross-validation where rows are few.
    `encoder` names the frozen encoder of the embeddings (finetune/catalog.py).
    """

    rows: tuple[Ticket, ...]
    labels: np.ndarray
    names: tuple[str, ...]
    features: np.ndarray
    once: Fold
    folds: tuple[Fold, ...]
    cut: Split
    total: int
    embed_s_per_row: float
    encoder: str = MINILM

    @property
    def texts(self) -> list[str]:
        return [row.text for row in self.rows]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that training sees; those of `names` beyond them always count as mistakes."""
        return self.names[: len(np.unique(self.labels[self.once.train]))]

    @property
    def how(self) -> str:
        """How the rows were cut, in one sentence."""
        return self.cut.how

    @property
    def held_out(self) -> int:
        return sum(len(fold.test) for fold in self.folds)

    @property
    def train_rows(self) -> int:
        """Rows that one training sees (the smallest fold's)."""
        return min(len(fold.train) for fold in self.folds)

    @property
    def one_split(self) -> bool:
        return len(self.folds) == 1

    @property
    def test_rows(self) -> np.ndarray:
        """The held-out row numbers in the order of the folds."""
        return np.concatenate([fold.test for fold in self.folds])

    @property
    def truth(self) -> np.ndarray:
        """The held-out labels in the order of the folds."""
        return self.labels[self.test_rows]

    @property
    def all_train_rows(self) -> int:
        """Training rows that the whole dataset would give at this sample's proportions."""
        return round(self.train_rows * self.total / len(self.rows))

    def part(self, numbers: np.ndarray) -> Part:
        """The rows of these numbers."""
        return Part([self.rows[i].text for i in numbers], self.labels[numbers], self.features[numbers])


def cut_rows(
    rows: Sequence[Ticket],
    seed: int,
    embed: Embed,
    progress: Progress,
    folder: Path,
    total: int | None = None,
    embed_s_per_row: float | None = None,
    encoder: str = MINILM,
) -> Sample:
    """Cut and embed labelled rows: the same rows and seed give the same Sample, whoever asks.

    Raises TrainingDataError where the rows to train on have fewer than two classes.
    """
    cut = split(Tickets(tuple(rows), "triage"), seed)
    sample = number_rows(rows, cut, embed, progress, folder, encoder)
    per_row = sample.embed_s_per_row if embed_s_per_row is None else embed_s_per_row
    return replace(sample, total=total or len(rows), embed_s_per_row=per_row)


def check_classes(rows: Sequence[Ticket], cut: Split) -> list[str]:
    """The names of the classes to train, in order; TrainingDataError where there are fewer than two."""
    train_names = sorted({str(rows[i].label) for i in cut.train})
    if len({str(row.label) for row in rows}) < 2:
        raise TrainingDataError("All tickets have the same label: there is nothing to tell apart.")
    if len(train_names) < 2:
        raise TrainingDataError(
            "The training rows have one class only: add tickets of at least one other queue."
        )
    return train_names


def number_rows(
    rows: Sequence[Ticket],
    cut: Split,
    embed: Embed,
    progress: Progress,
    folder: Path,
    encoder: str = MINILM,
) -> Sample:
    """The sample of rows that are cut already: classes numbered, texts embedded; errors as `cut_rows`."""
    train_names = check_classes(rows, cut)
    names = (*train_names, *sorted({str(row.label) for row in rows} - set(train_names)))
    number = {name: at for at, name in enumerate(names)}
    labels = np.array([number[str(row.label)] for row in rows], dtype=int)
    validation = [i for i in cut.dev if labels[i] < len(train_names)]
    once = _fold(cut.train, validation, cut.test)
    folds = tuple(_fold(cut.training(at), (), test) for at, test in enumerate(cut.folds)) or (once,)
    began = work_seconds()
    features = unit_embeddings([row.text for row in rows], embed, progress, folder, encoder)
    per_row = (work_seconds() - began) / len(rows)
    return Sample(tuple(rows), labels, names, features, once, folds, cut, len(rows), per_row, encoder)


def _fold(*sides: Sequence[int]) -> Fold:
    train, dev, test = (np.array(side, dtype=int) for side in sides)
    return Fold(train, dev, test)


def unit_embeddings(
    texts: Sequence[str], embed: Embed, progress: Progress, folder: Path, encoder: str = MINILM
) -> np.ndarray:
    """Unit embeddings in the order of `texts`, read from `folder` if an interrupted run with the same encoder cached them."""
    marks = [*texts] if encoder == MINILM else [encoder, *texts]
    key = hashlib.sha256("\0".join(marks).encode()).hexdigest()[:16]
    file = folder / f"embeddings-{key}.npy"
    if file.is_file():
        return np.asarray(np.load(file))
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    letters, offset, began = sum(map(len, texts)) + 1, 0, time.perf_counter()
    parts = []
    for at in range(0, len(order), BLOCK):
        progress.check()
        block = [texts[i] for i in order[at : at + BLOCK]]
        parts.append(embed(block))
        offset += sum(map(len, block))
        eta = (time.perf_counter() - began) / max(offset, 1) * (letters - offset)
        progress.step(min(at + BLOCK, len(order)), len(order), None, round(eta, 1))
    features = np.zeros((len(texts), parts[0].shape[1]), dtype=np.float32)
    features[order] = np.concatenate(parts)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(file, features)
    return features


def drop_embeddings(folder: Path) -> None:
    """Remove the cached embeddings."""
    for file in folder.glob("embeddings-*.npy"):
        file.unlink()


@dataclass(frozen=True)
class DataWarning:
    """A warning about the rows; `kind` is for code, `text` for people."""

    kind: str
    text: str


SINGLE, UNSEEN, COPIES, FEW = "single", "unseen", "copies", "few"
DRIFT, MIX = "drift", "mix"


def data_warnings(sample: Sample) -> list[DataWarning]:
    """The warnings about the rows themselves."""
    notes = []
    counts = Counter(str(row.label) for row in sample.rows)
    single = [name for name, count in counts.items() if count == 1]
    if single:
        text = (
            f"{len(single)} class(es) have one ticket only and cannot be both learned and tested: "
            f"{', '.join(single[:5])}. Add tickets or merge them."
        )
        notes.append(DataWarning(SINGLE, text))
    unseen = {sample.names[i] for fold in sample.folds for i in set(sample.labels[fold.test])}
    unseen -= {sample.names[i] for fold in sample.folds for i in set(sample.labels[fold.train])}
    if unseen - set(single):
        text = (
            f"{len(unseen)} class(es) occur in held-out tickets only, so they count as mistakes: "
            f"{', '.join(sorted(unseen)[:5])}."
        )
        notes.append(DataWarning(UNSEEN, text))
    copies = len(sample.rows) - len({" ".join(row.text.lower().split()) for row in sample.rows})
    if copies > MANY_COPIES * len(sample.rows):
        text = (
            f"{copies:,} of {len(sample.rows):,} tickets are exact copies of others: "
            "they were kept on one side, and the real number of different tickets is smaller."
        )
        notes.append(DataWarning(COPIES, text))
    if not sample.one_split:
        notes.append(DataWarning(FEW, f"Few tickets: {sample.how.split(';')[0]}."))
    return notes


MANY_COPIES = 0.05
CERTAIN = 2.58  # standard errors (99%)
MIN_DROP = 0.03
MIN_SHIFT = 0.10
MIN_DATED = 30


def newer_test(sample: Sample) -> bool:
    """Whether every dated held-out ticket is at least as new as every dated training ticket."""
    fold = sample.once
    dates = [[when for i in side if (when := sample.rows[i].created_at)] for side in (fold.train, fold.test)]
    return sample.one_split and all(dates) and max(dates[0]) <= min(dates[1])


def drift_warnings(sample: Sample, dev: float | None, dev_rows: int, test: float) -> list[DataWarning]:
    """Warnings on drift: a lower score on newer tickets than on `dev_rows` older ones, and changed class shares."""
    if not newer_test(sample):
        return []
    notes, fold = [], sample.once
    if dev is not None and dev_rows >= MIN_DATED:
        middle = (dev * dev_rows + test * len(fold.test)) / (dev_rows + len(fold.test))
        error = np.sqrt(middle * (1 - middle) * (1 / dev_rows + 1 / len(fold.test)))
        if dev - test > max(MIN_DROP, CERTAIN * error):
            text = (
                f"The tickets drift: on the latest ones the score is {100 * test:.1f}%, on older ones "
                f"{100 * dev:.1f}%. Expect it to fall further with time: retrain often, or train on "
                "recent tickets."
            )
            notes.append(DataWarning(DRIFT, text))
    shift, usual = mix_shift(sample.labels[fold.train], sample.labels[fold.test], len(sample.names))
    if shift > max(MIN_SHIFT, usual):
        text = (
            f"The mix of classes changed: {100 * shift:.0f}% of the latest tickets would have to move to "
            "another class to look like the training tickets."
        )
        notes.append(DataWarning(MIX, text))
    return notes


def mix_shift(train: np.ndarray, test: np.ndarray, classes: int, seed: int = 0) -> tuple[float, float]:
    """Total variation between the class shares of two sides, and the 99th percentile that chance gives."""
    rng = np.random.default_rng(seed)
    both = np.concatenate([train, test])

    def distance(order: np.ndarray) -> float:
        first, second = (np.bincount(part, minlength=classes) for part in np.split(order, [len(train)]))
        return 0.5 * float(np.abs(first / len(train) - second / len(test)).sum())

    chance = [distance(rng.permutation(both)) for _ in range(200)]
    return distance(both), float(np.quantile(chance, 0.99))
