"""Two runs on the same rows side by side: which held-out tickets they disagree on, and when they cannot be compared."""

from __future__ import annotations

import pytest

from finetune.reports import FinetuneReport
from finetune.reports.comparison import MAX_ROWS, ComparisonError, compare_runs, held_out_answers
from finetune.reports.parts import DatasetPart, HeldOutAnswers

NAMES = ("billing", "login", "shipping")


def report(
    labels: list[int], truth: list[int], ids: list[str] | None = None, digest: str = "d1"
) -> FinetuneReport:
    """A run's report with these answers."""
    ids = ids or [f"t{at}" for at in range(len(labels))]
    rows = DatasetPart(digest=digest)
    return FinetuneReport(dataset=rows, answers=held_out_answers(ids, truth, labels, NAMES))


def test_every_ticket_is_counted_once() -> None:
    """Both right, one right, both wrong alike and each wrong in its own way add up to all tickets."""
    truth = [0, 0, 0, 1, 2, 2]
    comparison = compare_runs(report([0, 0, 1, 0, 1, 0], truth), report([0, 1, 0, 0, 0, 0], truth))
    assert (comparison.rows, comparison.both) == (6, 1)
    assert [pair.id for pair in comparison.only_first] == ["t1"]
    assert [pair.id for pair in comparison.only_second] == ["t2"]
    assert [(pair.id, pair.first, pair.second) for pair in comparison.both_wrong] == [
        ("t4", "login", "billing")
    ]
    assert (
        "both are right on 1, only the first on 1, only the second on 1, neither on 3" in comparison.sentence
    )


def test_only_tickets_that_both_held_out_count() -> None:
    """Another seed held out other tickets: what both scored is compared, by id and queue name, not by place."""
    first = report([0, 1], [0, 1], ["a", "b"])
    second = report([1, 0], [1, 0], ["b", "c"])
    assert compare_runs(first, second).rows == 1
    assert compare_runs(first, second).both == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (report([0], [0], digest="d2"), "different rows"),
        (report([0], [0], ["z"]), "no held-out ticket"),
        (FinetuneReport(dataset=DatasetPart(digest="d1")), "older version"),
        (None, "older version"),
        (
            FinetuneReport(
                dataset=DatasetPart(digest="d1"), answers=HeldOutAnswers(("t0",), (9,), (0,), ("x",))
            ),
            "split",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_reason(other: FinetuneReport | None, words: str) -> None:
    """Other rows, no shared ticket, an old report, a torn one: a sentence with what to do."""
    with pytest.raises(ComparisonError, match=words):
        compare_runs(report([0], [0]), other)


def test_a_report_carries_a_bounded_number_of_answers() -> None:
    """However many tickets were held out, a report stays small."""
    many = report([0] * 3_000, [0] * 3_000)
    assert len(many.answers.ids) == len(many.answers.labels) == MAX_ROWS
