"""The alarms of a model on duty: sequential tests, updated event by event and stored as JSON in between. Pure.

Labels show errors. Before labels arrive, changed confidences and tickets far from the training tickets show a change of the
tickets; each of these two tests misses changes that the other finds (docs/decisions.d/live.md). The result does not depend on
how the events are split over updates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.sequential_tests import (
    ChangeTest,
    RateTest,
    change_test_from_json,
    rate_test_from_json,
    run_rate_test,
    state_to_json,
)

VERSION = 2  # of the JSON and of the tests; a state of another version is computed again from all events
LABEL_CHANCE, FAR_CHANCE, CONFIDENCE_CHANCE = (
    0.01,
    0.005,
    0.005,
)  # false-alarm probability over all looks at one model
MIN_CHECKS, MIN_TICKETS = 10, 30  # with fewer there is no alarm
DOUBT_BEGINS, DOUBT_ENDS = 2.0, 1.8  # log-likelihood ratio of the labels: three wrong answers among a few
DOUBTED_WEALTH = 5.0  # wealth of the ticket tests: far below an alarm, and rare by chance
FAR_SHARE = 0.05  # of held-out tickets that are far from every training ticket, by construction; up to twice that on few tickets


@dataclass
class Alarms:
    """The evidence against a model that promised at most `promise` wrong answers, and its first alarm.

    `alarm` says why the model must stop answering alone ("" without an alarm); `is_of_labels`: labels raised it. Later events
    change neither. Doubt comes before an alarm: asking people more often for a while costs little, and wrong answers until
    the alarm is certain cost much (docs/decisions.d/live.md).
    """

    promise: float
    checks: RateTest
    far: RateTest
    change: ChangeTest
    alarm: str = ""
    is_of_labels: bool = False
    labels_doubt: bool = False

    @classmethod
    def begin(cls, promise: float, confidences: Sequence[float]) -> Alarms:
        """New alarms without events; `confidences` are those of the tickets that the threshold was set on."""
        return cls(promise, RateTest(promise), RateTest(2 * FAR_SHARE), ChangeTest.after(confidences))

    def add_ticket(self, confidence: float, is_near: bool) -> None:
        """Adds the next answered ticket, in the order of the answers."""
        self.far.update(not is_near)
        self.change.update(confidence)
        if self.alarm or self.far.count < MIN_TICKETS:
            return
        if self.far.is_significant(FAR_CHANCE):
            far, tickets = self.far.part(MIN_TICKETS)
            self.alarm = (
                f"the tickets have changed: {far} of the last {tickets} are near none that it was trained on"
            )
        elif self.change.is_significant(CONFIDENCE_CHANCE):
            self.alarm = "the tickets have changed: its confidences are not those that it was checked on"

    def add_check(self, right: bool) -> None:
        """Adds the first label of the next answer that was drawn for checking, in the order of the labels."""
        self.checks.update(not right)
        self.labels_doubt = self.checks.log_likelihood_ratio >= (
            DOUBT_ENDS if self.labels_doubt else DOUBT_BEGINS
        )
        if self.alarm or not _is_alarm(self.checks):
            return
        wrong, answers = self.checks.part(MIN_CHECKS)
        self.alarm = f"the promise is broken: people found {wrong} of {answers} answers wrong, and at most {self.promise:.0%} were promised"
        self.is_of_labels = True

    def recompute_checks(self, rights: Iterable[bool]) -> None:
        """Recomputes the label test from all labels, as an earlier label has changed."""
        self.checks, self.labels_doubt = RateTest(self.promise), False
        for right in rights:
            self.add_check(right)

    @property
    def is_in_doubt(self) -> bool:
        """Whether something may have changed: until labels decide, people check every answer."""
        return self.labels_doubt or max(self.far.wealth, self.change.wealth) >= DOUBTED_WEALTH

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        tests = {name: state_to_json(getattr(self, name)) for name in ("checks", "far", "change")}
        plain = {"alarm": self.alarm, "is_of_labels": self.is_of_labels, "labels_doubt": self.labels_doubt}
        return {"promise": self.promise, **tests, **plain}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Alarms:
        """What `to_json` gave; TypeError or KeyError where it is something else."""
        return cls(
            float(values["promise"]),
            rate_test_from_json(values["checks"]),
            rate_test_from_json(values["far"]),
            change_test_from_json(values["change"]),
            str(values["alarm"]),
            bool(values["is_of_labels"]),
            bool(values["labels_doubt"]),
        )


def exceeds_promised_rate(checks: Sequence[bool], promise: float) -> bool:
    """Whether the checked answers (right or wrong, oldest first) are evidence against the promise, over all looks."""
    return _is_alarm(run_rate_test([not right for right in checks], promise))


def _is_alarm(test: RateTest) -> bool:
    return test.count >= MIN_CHECKS and test.is_significant(LABEL_CHANCE)
