"""The alarms of a model on duty: bets that go on from look to look, event by event, and are kept as JSON in between. Pure.

Labels tell of errors; before they come, other confidences and tickets near no training ticket tell of other tickets. Each of
the two was blind where the other saw (docs/decisions.d/live.md). However the events are split into looks, the same alarm rings
at the same event as if all had been bet on from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.repeated_looks import (
    ChangeBet,
    RateBet,
    bet_on_rate,
    change_bet_from,
    json_of,
    rate_bet_from,
)

VERSION = 2  # of what `to_json` gives and of how the bets are made: another one is made anew from the events
LABEL_CHANCE, FAR_CHANCE, CONFIDENCE_CHANCE = 0.01, 0.005, 0.005  # false alarms over all looks at one model
MIN_CHECKS, MIN_TICKETS = 10, 30  # fewer ring nothing
DOUBT_BEGINS, DOUBT_ENDS = 2.0, 1.8  # loudness of the labels: three wrong answers among a few
DOUBTED_WEALTH = 5.0  # of the bets on tickets: far from an alarm, and rare by luck
FAR_SHARE = 0.05  # of held-out tickets that are near no training ticket, by construction; on few of them up to twice that


@dataclass
class Alarms:
    """What speaks against a model that promised at most `promise` wrong answers, and the alarm that rang first.

    `alarm` says in words why it must stop answering alone, "" while nothing speaks against it; `is_of_labels` where people's
    words rang it. What comes after the alarm changes neither. Before an alarm comes doubt: it costs little to ask people more often
    for a while, and much to answer wrongly until an alarm is sure (docs/decisions.d/live.md).
    """

    promise: float
    checks: RateBet
    far: RateBet
    change: ChangeBet
    alarm: str = ""
    is_of_labels: bool = False
    labels_doubt: bool = False

    @classmethod
    def begin(cls, promise: float, confidences: Sequence[float]) -> Alarms:
        """Nothing was bet on yet; `confidences` are those of the tickets that the threshold was set on."""
        return cls(promise, RateBet(promise), RateBet(2 * FAR_SHARE), ChangeBet.after(confidences))

    def take_ticket(self, confidence: float, is_near: bool) -> None:
        """Bets on the next ticket that the model settled, in the order in which it did."""
        self.far.take(not is_near)
        self.change.take(confidence)
        if self.alarm or self.far.count < MIN_TICKETS:
            return
        if self.far.rings(FAR_CHANCE):
            far, tickets = self.far.part(MIN_TICKETS)
            self.alarm = (
                f"the tickets have changed: {far} of the last {tickets} are near none that it was trained on"
            )
        elif self.change.rings(CONFIDENCE_CHANCE):
            self.alarm = "the tickets have changed: its confidences are not those that it was checked on"

    def take_check(self, right: bool) -> None:
        """Bets on what people say of the next answer that was drawn at random, in the order in which they first said it."""
        self.checks.take(not right)
        self.labels_doubt = self.checks.loudness >= (DOUBT_ENDS if self.labels_doubt else DOUBT_BEGINS)
        if self.alarm or not _is_broken(self.checks):
            return
        wrong, answers = self.checks.part(MIN_CHECKS)
        self.alarm = f"the promise is broken: people found {wrong} of {answers} answers wrong, and at most {self.promise:.0%} were promised"
        self.is_of_labels = True

    def check_anew(self, rights: Iterable[bool]) -> None:
        """Bets on all labels from the beginning, as people have changed what they said of an earlier answer."""
        self.checks, self.labels_doubt = RateBet(self.promise), False
        for right in rights:
            self.take_check(right)

    @property
    def is_in_doubt(self) -> bool:
        """Whether something may have changed: until labels settle it people look at all that it would answer alone."""
        return self.labels_doubt or max(self.far.wealth, self.change.wealth) >= DOUBTED_WEALTH

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        bets = {name: json_of(getattr(self, name)) for name in ("checks", "far", "change")}
        plain = {"alarm": self.alarm, "is_of_labels": self.is_of_labels, "labels_doubt": self.labels_doubt}
        return {"promise": self.promise, **bets, **plain}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Alarms:
        """What `to_json` gave; TypeError or KeyError where it is something else."""
        return cls(
            float(values["promise"]),
            rate_bet_from(values["checks"]),
            rate_bet_from(values["far"]),
            change_bet_from(values["change"]),
            str(values["alarm"]),
            bool(values["is_of_labels"]),
            bool(values["labels_doubt"]),
        )


def breaks_its_promise(checks: Sequence[bool], promise: float) -> bool:
    """Whether the answers that people checked, right or wrong, the oldest first, speak against the promise over all looks."""
    return _is_broken(bet_on_rate([not right for right in checks], promise))


def _is_broken(bet: RateBet) -> bool:
    return bet.count >= MIN_CHECKS and bet.rings(LABEL_CHANCE)
