"""Finds labels that are probably wrong: cleanlab on out-of-fold probabilities.

Embeddings and logistic regression, cross-validated with near-copies in one fold (else a copy with the same wrong label
would confirm it). Covers labels that disagree with similar tickets; does not cover a queue that is wrong throughout,
nor classes of fewer than MIN_CLASS_ROWS rows. A suspect is a question to a person, not a decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.data.duplicates import find_duplicates
from finetune.data.label_check import LabelCheck, LabelIssue, Overlap
from finetune.data.ticket import DatasetError, Tickets

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5
MIN_CLASS_ROWS = 5  # rows that a class needs for the check
MAX_CHECKED_ROWS = 20_000  # of more rows a random sample is checked; so many take minutes
MIN_CONFUSIONS, OVERLAP = (
    5,
    0.3,
)  # tickets in each direction, and of both labels' tickets, for two labels to overlap
STRENGTH = 3.0  # C of the regression: docs/decisions.d/data.md has the choice and what lost

Embed = Callable[[Sequence[str]], "np.ndarray"]


@dataclass(frozen=True)
class Suspect:
    """One suspicious label; the shares are out-of-fold probabilities."""

    row: int
    id: str
    given: str
    suggested: str
    given_share: float
    suggested_share: float


@dataclass(frozen=True)
class LabelNoise:
    """The suspects among `row_count` rows, most doubtful first."""

    row_count: int
    suspects: tuple[Suspect, ...]
    accuracy: float
    overlaps: tuple[Overlap, ...] = ()
    total: int = 0  # all labelled rows, of which `row_count` were checked

    def to_card(self) -> dict[str, Any]:
        """The counts and queue names for the card, without tickets."""
        classes = Counter(suspect.given for suspect in self.suspects)
        return {
            "checked": self.row_count,
            "suspects": len(self.suspects),
            "share": round(len(self.suspects) / self.row_count, 4),
            "by_class": dict(classes.most_common(5)),
            "method": "cleanlab, cross-validated",
            "of": self.total,
        }

    def to_check(self) -> LabelCheck:
        """The stored check, for the questions to a person."""
        doubts = (
            LabelIssue(
                one.id, one.given, one.suggested, round(one.given_share, 3), round(one.suggested_share, 3)
            )
            for one in self.suspects
        )
        return LabelCheck(self.row_count, self.total, tuple(doubts), self.overlaps)


def find_label_noise(tickets: Tickets, embed: Embed | None = None, seed: int = 7) -> LabelNoise:
    """Check every label (of MAX_CHECKED_ROWS rows, drawn with `seed`, where there are more). `embed` gives (n, dim) rows; by default frozen MiniLM.

    Deterministic for a seed. Raises DatasetError where there are no two classes of MIN_CLASS_ROWS rows.
    """
    import numpy as np

    every, total = list(range(len(tickets))), sum(count for _, count in tickets.classes)
    places_drawn = (
        every
        if total <= MAX_CHECKED_ROWS
        else np.sort(np.random.default_rng(seed).permutation(len(every))[:MAX_CHECKED_ROWS]).tolist()
    )
    labels = [row.label for row in tickets.rows]
    counts = Counter(label for at in places_drawn if (label := labels[at]))
    names = sorted(label for label, count in counts.items() if count >= MIN_CLASS_ROWS)
    if len(names) < 2:
        message = f"Labels can be checked from two queues of {MIN_CLASS_ROWS} tickets on."
        raise DatasetError(message, what_next="Add labelled tickets.")
    queues = set(names)
    rows = [at for at in places_drawn if labels[at] in queues]
    texts = [tickets.rows[at].text for at in rows]
    number = {name: at for at, name in enumerate(names)}
    targets = np.array([number[tickets.rows[at].label or ""] for at in rows])
    vectors = (embed or _default_embed())(texts)
    shares = _out_of_fold(vectors, targets, find_duplicates(texts).of, seed)
    suspects = []
    for place in _issues(targets, shares):
        best, row = int(shares[place].argmax()), tickets.rows[rows[place]]
        own, other = float(shares[place, targets[place]]), float(shares[place, best])
        suspects.append(Suspect(rows[place], row.id, names[targets[place]], names[best], own, other))
    overlaps = _overlaps(names, targets, shares.argmax(1))
    whole = total if total > MAX_CHECKED_ROWS else len(rows)
    return LabelNoise(
        len(rows), tuple(suspects), float((shares.argmax(1) == targets).mean()), overlaps, whole
    )


def _overlaps(names: Sequence[str], targets: np.ndarray, guesses: np.ndarray) -> tuple[Overlap, ...]:
    """Pairs of labels that are confused in both directions, most confused first."""
    pairs = Counter(zip(targets.tolist(), guesses.tolist(), strict=True))
    sizes = Counter(targets.tolist())
    overlaps = []
    for (first, second), count in pairs.items():
        back = pairs.get((second, first), 0)
        share = (count + back) / (sizes[first] + sizes[second])
        if first < second and min(count, back) >= MIN_CONFUSIONS and share >= OVERLAP:
            overlaps.append(Overlap(names[first], names[second], round(share, 3)))
    return tuple(sorted(overlaps, key=lambda one: -one.share))


def _out_of_fold(vectors: np.ndarray, targets: np.ndarray, groups: Sequence[int], seed: int) -> np.ndarray:
    """(n, classes) out-of-fold probabilities, near-copies in one fold."""
    import warnings

    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    shares = np.zeros((len(targets), int(targets.max()) + 1))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a class of few clusters may be missing in a fold: its probability is then 0
        for train, test in folds.split(vectors, targets, groups):
            model = LogisticRegression(C=STRENGTH, max_iter=300).fit(vectors[train], targets[train])
            shares[np.ix_(test, model.classes_)] = model.predict_proba(vectors[test])
    shares = np.clip(shares, 1e-6, None)
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _issues(targets: np.ndarray, shares: np.ndarray) -> list[int]:
    """cleanlab's suspects, the least likely label first; only rows that the model would label otherwise."""
    from cleanlab.filter import find_label_issues

    places = find_label_issues(
        targets, shares, return_indices_ranked_by="self_confidence", filter_by="low_self_confidence", n_jobs=1
    )
    return [int(place) for place in places if shares[place].argmax() != targets[place]]


def _default_embed() -> Embed:
    from finetune.training.embedding import FrozenEmbedder

    return FrozenEmbedder()
