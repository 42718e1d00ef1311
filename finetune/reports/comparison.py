"""Compares two runs on the same rows: the held-out tickets on which they disagree. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.errors import FinetuneError
from finetune.reports import FinetuneReport, MeasurementReport, Report
from finetune.reports.parts import HeldOutAnswers

MAX_ROWS = 1_000  # answers that a report carries


class ComparisonError(FinetuneError):
    """The two runs cannot be compared."""


@dataclass(frozen=True)
class Disagreement:
    """A held-out ticket by its id, its true queue, and what each run said."""

    id: str
    truth: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """Counts of held-out tickets, and those that only one run gets right (or each gets wrong in its own way)."""

    rows: int
    both: int
    only_first: tuple[Disagreement, ...]
    only_second: tuple[Disagreement, ...]
    both_wrong: tuple[Disagreement, ...]

    @property
    def sentence(self) -> str:
        """The comparison in one sentence."""
        neither = self.rows - self.both - len(self.only_first) - len(self.only_second)
        return (
            f"Of {self.rows:,} held-out tickets both are right on {self.both:,}, only the first on "
            f"{len(self.only_first):,}, only the second on {len(self.only_second):,}, neither on {neither:,}."
        )


def held_out_answers(
    ids: Sequence[str], truth: Sequence[int], labels: Sequence[int], names: Sequence[str]
) -> HeldOutAnswers:
    """What a report carries of a system's answers: the first MAX_ROWS held-out tickets by id and class number."""
    return HeldOutAnswers(
        tuple(ids[:MAX_ROWS]),
        tuple(int(label) for label in truth[:MAX_ROWS]),
        tuple(int(label) for label in labels[:MAX_ROWS]),
        tuple(names),
    )


def compare_runs(first: Report | None, second: Report | None) -> Comparison:
    """The two reports' answers ticket by ticket; ComparisonError where they share none, with what to do."""
    reports = [report for report in (first, second) if isinstance(report, FinetuneReport | MeasurementReport)]
    if len({report.dataset.digest for report in reports}) > 1:
        raise ComparisonError(
            "These two runs are on different rows: choose two runs of the same dataset version."
        )
    answers = [report.answers.by_ticket() for report in reports]
    shared = [ticket for ticket in answers[0] if ticket in answers[1]] if len(answers) == 2 else []
    if not shared:
        raise ComparisonError(
            "These two runs share no held-out ticket: they were split by another seed, or an older version kept no "
            "answers. Run one of them again with the same seed."
        )
    ours, theirs = answers
    pairs = [Disagreement(ticket, ours[ticket][0], ours[ticket][1], theirs[ticket][1]) for ticket in shared]
    both = sum(pair.first == pair.truth == pair.second for pair in pairs)
    split = [pair for pair in pairs if pair.first != pair.second]
    return Comparison(
        len(pairs),
        both,
        tuple(pair for pair in split if pair.first == pair.truth),
        tuple(pair for pair in split if pair.second == pair.truth),
        tuple(pair for pair in split if pair.truth not in (pair.first, pair.second)),
    )
