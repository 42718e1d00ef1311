"""Models on duty, replayed: is the promise kept, how much is answered, when is a loss noticed, how often is an alarm false?

    python benchmarks/duty.py [--quick] [--json] [--promise 0.1] [--policies refit,whole] [--stream planted]

Dated sets run in time order (`issues_dated`, for both of its tasks), made-up streams have a shift that is known (BANKING77: new
queues halfway, queues that change their meaning, a planted loss of ten points), shuffled ones have none. The model is TF-IDF
with logistic regression, so that a replay takes seconds; threshold, alarms, share of checks and recalibration are the
product's own (finetune/evaluation/promise.py, duty_monitoring.py). People answer 75 tickets late and are wrong 5% of the time; they
check the drawn answers, and sort what the model leaves to them. `fixed` never looks again; `alarms` goes back to shadow and
stays there; while in doubt people look at all that it would answer, and none of that counts as answered. `refit` trains anew on
what people sorted, once an alarm rang, or 300 new labels came and the new model answers more of the last of them; it sets the
threshold on the last 150, kept out of the fit, for three quarters of the promise where a threshold keeps that: what the
product does. `whole` does the same for the whole promise (TRAINWISE_PROMISE_RESERVE=0). Asked: tickets that people were to look at, sorted or drawn. Quick: fewer replays.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from finetune.evaluation.alarms import FAR_SHARE, Alarms
from finetune.evaluation.promise import Threshold, audit_share, threshold_with_reserve

DATA = Path(__file__).resolve().parents[1] / "../shared/data"
LOOK, LATE, WORST, KEPT_OUT, REFIT_AFTER = 10, 8, 75, 150, 300
MISTAKES = 0.05
csv.field_size_limit(10_000_000)
RETRY_AFTER = 30  # new labels before a model that may not answer is fitted once more
RESERVE = 0.25  # of the promise, for what is wrong before a change is noticed
POLICIES = ("fixed", "alarms", "refit", "whole")
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Stream:
    """Tickets in order with their queues; from `shift` on something changes (None: nothing does)."""

    name: str
    rows: Pairs
    start: int
    shift: int | None = None
    loss: bool = False  # the shift takes ten points or more off the answers, by construction


@dataclass
class Outcome:
    """What one policy came to on one stream."""

    answers: int = 0
    wrong: int = 0
    rows: int = 0
    questions: int = 0  # tickets that people were to look at
    worst: float = 0.0
    alarms: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def error(self) -> float:
        return self.wrong / self.answers if self.answers else 0.0


class Model:
    """TF-IDF and logistic regression with a threshold set on rows that it did not learn from."""

    def __init__(self, learn: Pairs, calibrate: Pairs, promise: float, reserve: float) -> None:
        self.words = TfidfVectorizer(sublinear_tf=True, min_df=1, max_features=30_000)
        self.features = self.words.fit_transform([text for text, _ in learn])
        self.model = LogisticRegression(C=10, max_iter=300).fit(self.features, [label for _, label in learn])
        labels, self.confidences, near = self.answer([text for text, _ in calibrate])
        self.far_below = float(np.quantile(near, FAR_SHARE)) if len(near) else -1.0
        right = labels == np.array([label for _, label in calibrate])
        self.threshold: Threshold = threshold_with_reserve(self.confidences, right, promise, reserve)

    def answer(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels, confidences, and the cosine to the nearest ticket that it learned from."""
        if not len(texts):
            return np.array([]), np.array([]), np.array([])
        rows = self.words.transform(texts)
        scores = self.model.predict_proba(rows)
        near = np.asarray((rows @ self.features.T).max(axis=1).todense()).ravel()
        return self.model.classes_[scores.argmax(1)], scores.max(1), near

    def admits(self, rows: Pairs) -> int:
        """How many of these rows it would answer alone."""
        return sum(self.threshold.admits(float(one)) for one in self.answer([text for text, _ in rows])[1])


def replay(stream: Stream, policy: str, promise: float, seed: int) -> Outcome:
    """The stream from `start` on, in looks of LOOK tickets; labels come LATE looks late."""
    rng = np.random.default_rng(seed)
    history = list(stream.rows[: stream.start])
    order = rng.permutation(len(history))
    cut = max(1, len(history) // 5)
    reserve = RESERVE if policy == "refit" else 0.0
    model = Model([history[i] for i in order[cut:]], [history[i] for i in order[:cut]], promise, reserve)
    names = sorted({label for _, label in stream.rows})
    usual_share = audit_share(len(stream.rows) - stream.start, promise)
    outcome, live = Outcome(), True
    alarms = Alarms.begin(promise, model.confidences.tolist())
    checks: list[bool] = []  # of each ticket: whether it is an answer that people check
    sorted_rows: list[tuple[str, str]] = []
    late: list[list[tuple[int, str, str]]] = []
    guesses: list[str] = []
    gave: list[tuple[bool, bool]] = []
    new = 0
    for begin in range(stream.start, len(stream.rows), LOOK):
        batch = stream.rows[begin : begin + LOOK]
        words = late.pop(0) if len(late) >= LATE else []
        for at, text, label in words:  # what people said by now
            sorted_rows.append((text, label))
            new += 1
            if at < len(checks) and checks[at]:
                alarms.add_check(label == guesses[at])
        if live and policy != "fixed" and alarms.alarm:
            outcome.alarms.append(begin - stream.start)
            outcome.reasons.append(alarms.alarm)
            live = False
        enough = new >= (REFIT_AFTER if live else RETRY_AFTER)
        if policy in ("refit", "whole") and enough and len(sorted_rows) > KEPT_OUT:
            anew = Model([*history, *sorted_rows[:-KEPT_OUT]], sorted_rows[-KEPT_OUT:], promise, reserve)
            new = 0
            if (
                not live
                or alarms.is_in_doubt
                or anew.threshold.answers > model.admits(sorted_rows[-KEPT_OUT:])
            ):
                model, live = anew, anew.threshold.value is not None
                alarms, checks, guesses = Alarms.begin(promise, model.confidences.tolist()), [], []
                late = [[(10**9, text, label) for _, text, label in part] for part in late]
        labels, confidences, near = model.answer([text for text, _ in batch])
        is_in_doubt = alarms.is_in_doubt and live and policy != "fixed"
        share = 1.0 if is_in_doubt else usual_share
        words_now: list[tuple[int, str, str]] = []
        for (text, truth), guess, confidence, nearness in zip(batch, labels, confidences, near, strict=True):
            is_answer = model.threshold.admits(float(confidence)) and live
            is_audit = bool(rng.random() < share)
            word = truth if rng.random() > MISTAKES else names[rng.integers(len(names))]
            alarms.add_ticket(float(confidence), bool(nearness >= model.far_below))
            checks.append(is_answer and is_audit)
            guesses.append(str(guess))
            if is_audit or not is_answer:
                words_now.append((len(checks) - 1, text, word))
            is_alone = is_answer and not is_in_doubt
            gave.append((is_alone, is_alone and str(guess) != truth))
            outcome.questions += is_audit or not is_alone
        late.append(words_now)
    parts = [np.array(gave[at : at + WORST]) for at in range(0, len(gave), WORST)]
    outcome.rows, (outcome.answers, outcome.wrong) = len(gave), (int(x) for x in np.array(gave).sum(axis=0))
    outcome.worst = max(
        (float(p[:, 1].sum() / p[:, 0].sum()) for p in parts if p[:, 0].sum() >= 10), default=0.0
    )
    return outcome


def issues(column: str) -> Pairs:
    """Dated issues in time order, with their repository or their kind."""
    with (DATA / "issues_dated/issues.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["created_at"])
    return [(f"{row['title']}\n{row['body']}"[:2_000], row[column]) for row in rows]


def banking(count: int, seed: int, queues: int = 12) -> tuple[Pairs, list[str]]:
    """Shuffled questions of some intents."""
    with (DATA / "banking77/train.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    rng = np.random.default_rng(seed)
    names = list(rng.permutation(sorted({label for _, label in rows}))[: queues + 4])
    few = [row for row in rows if row[1] in names]
    return [few[i] for i in rng.permutation(len(few))[:count]], [str(name) for name in names]


def new_queues(seed: int, count: int) -> Stream:
    """Four intents that nobody has seen appear halfway through the duty."""
    rows, names = banking(count, seed)
    late = set(names[-4:])
    early = [row for row in rows if row[1] not in late]
    half = len(early) * 2 // 3
    rng = np.random.default_rng(seed)
    tail = [*early[half:], *[row for row in rows if row[1] in late]]
    return Stream(
        "new queues",
        [*early[:half], *[tail[i] for i in rng.permutation(len(tail))]],
        len(early) // 3,
        half,
        True,
    )


def moved_meaning(seed: int, count: int) -> Stream:
    """From halfway on a fifth of the queues answer to other names: same texts, other labels."""
    rows, names = banking(count, seed)
    renames = dict(zip(names[:3], names[3:6], strict=True))
    half = len(rows) * 2 // 3
    after = [(text, renames.get(label, label)) for text, label in rows[half:]]
    return Stream("queues change meaning", [*rows[:half], *after], len(rows) // 3, half, True)


def planted_loss(seed: int, count: int) -> Stream:
    """From halfway on twenty points of the answers become wrong at random: texts and confidences stay the same."""
    rows, names = banking(count, seed)
    rng = np.random.default_rng(seed)
    half = len(rows) * 2 // 3
    after = [
        (text, label if rng.random() > 0.2 else names[rng.integers(len(names))])
        for text, label in rows[half:]
    ]
    return Stream("planted loss", [*rows[:half], *after], len(rows) // 3, half, True)


def quiet(seed: int, count: int) -> Stream:
    """No shift at all."""
    rows, _ = banking(count, seed)
    return Stream("quiet", rows, len(rows) // 3)


def without_order(stream: Stream, seed: int) -> Stream:
    """The same rows without their order."""
    order = np.random.default_rng(seed).permutation(len(stream.rows))
    return Stream(f"{stream.name}, shuffled", [stream.rows[i] for i in order], stream.start)


def table(
    groups: dict[str, list[tuple[Stream, int]]], promise: float, policies: Sequence[str] = POLICIES
) -> Iterator[dict[str, Any]]:
    """A line for each group of streams and each policy."""
    for name, streams in groups.items():
        for policy in policies:
            outcomes = [(stream, replay(stream, policy, promise, seed)) for stream, seed in streams]
            yield _line(name, policy, outcomes, promise)


def _line(
    name: str, policy: str, outcomes: Sequence[tuple[Stream, Outcome]], promise: float
) -> dict[str, Any]:
    results = [outcome for _, outcome in outcomes]
    waits, false_alarms = [], 0
    for stream, outcome in outcomes:
        shift = None if stream.shift is None else stream.shift - stream.start
        if not stream.name.startswith("issues, ") or stream.name.endswith(
            "shuffled"
        ):  # when dated ones shift nobody knows
            false_alarms += any(shift is None or at < shift for at in outcome.alarms)
        later = [at - shift for at in outcome.alarms if shift is not None and at >= shift]
        waits += later[:1]
    return {
        "stream": name,
        "policy": policy,
        "replays": len(results),
        "answered": sum(one.answers for one in results) / max(1, sum(one.rows for one in results)),
        "error": sum(one.wrong for one in results) / max(1, sum(one.answers for one in results)),
        "kept": sum(one.error <= promise for one in results),
        "questions": sum(one.questions for one in results) / max(1, sum(one.rows for one in results)),
        "worst_batch": max(one.worst for one in results),
        "noticed": len(waits),
        "tickets_until_noticed": float(np.median(waits)) if waits else None,
        "false_alarms": false_alarms,
    }


def groups_of(is_quick: bool) -> dict[str, list[tuple[Stream, int]]]:
    """The streams by group, each with its seed; in full 30 made-up ones with a shift, and 20 quiet ones."""
    replays, count, quiet_ones = (1, 1_200, 2) if is_quick else (10, 3_000, 16)
    tasks = {"repository": issues("repo"), "kind": issues("label")}
    half = len(tasks["kind"]) // 2
    groups = {}
    for name, rows in tasks.items():
        groups[f"issues, {name}"] = [
            (Stream(f"issues, {name}", rows, half), seed) for seed in range(replays // 5 or 1)
        ]
    makers: dict[str, Callable[[int, int], Stream]] = {
        "new queues": new_queues,
        "queues change meaning": moved_meaning,
        "planted loss": planted_loss,
    }
    for name, make in makers.items():
        groups[name] = [(make(seed, count), seed) for seed in range(replays)]
    streams = [quiet(seed, 2 * count // 3) for seed in range(quiet_ones)]
    if not is_quick:
        streams += [
            without_order(Stream("issues", rows, half), s) for s in range(2) for rows in tasks.values()
        ]
    groups["no shift"] = [(stream, seed) for seed, stream in enumerate(streams)]
    return groups


def main() -> None:
    """Prints the table, and with --json the same as one object on the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--promise", type=float, default=0.1)
    parser.add_argument("--policies", default=",".join(POLICIES), help="some of them, with commas")
    parser.add_argument("--stream", default="", help="only the streams whose name begins so")
    options = parser.parse_args()
    lines = []
    print(f"Promise: at most {options.promise:.0%} wrong among answers.\n")
    print(
        "| stream | policy | answered % | asked % | wrong % | kept | worst batch % | noticed after | false alarms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    groups = {
        name: rows for name, rows in groups_of(options.quick).items() if name.startswith(options.stream)
    }
    for one in table(groups, options.promise, options.policies.split(",")):
        lines.append(one)
        wait = one["tickets_until_noticed"]
        after = "-" if wait is None else f"{wait:.0f} ({one['noticed']} of {one['replays']})"
        print(
            f"| {one['stream']} | {one['policy']} | {100 * one['answered']:.1f} | {100 * one['questions']:.1f} | {100 * one['error']:.1f} | {one['kept']} of "
            f"{one['replays']} | {100 * one['worst_batch']:.0f} | {after} | {one['false_alarms']} |",
            flush=True,
        )
    if options.json:
        print(json.dumps({"promise": options.promise, "lines": lines}))


if __name__ == "__main__":
    main()
