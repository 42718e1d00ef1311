"""Splits rows into training, validation and test: no customer, thread or near-copy is on two sides.

Pure and deterministic: the same rows and seed give the same split. Does not balance the test set: it keeps
the proportions that the tickets have.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from finetune.data.duplicates import find, find_duplicates, union
from finetune.data.ticket import DatasetError, Ticket, Tickets

TEST_SHARE = 0.15
MAX_TEST_ROWS = 3_000
DEV_SHARE = 0.12
MAX_DEV_ROWS = 1_000
SMALL = 2.5  # below this many times test_min rows, a fixed test set would starve training
FOLDS = 5
MAX_LEFT_OUT_SHARE = 0.2
PLACEHOLDER = 0.2  # a customer of a larger share is a placeholder ("web form"), not a person
DATED = 0.9
MIN_TRAIN_SHARE = 0.3


@dataclass(frozen=True)
class Split:
    """Row numbers by side, in row order; `how` says in one sentence what was done.

    `left_out` rows would leak and serve nowhere. `folds` (test rows of each fold; a row's training rows are
    `training(fold)`) is filled where the rows are too few for a test set that can tell anything.
    """

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]
    how: str
    left_out: tuple[int, ...] = ()
    folds: tuple[tuple[int, ...], ...] = ()

    def training(self, fold: int) -> tuple[int, ...]:
        """The rows to train on when `folds[fold]` is held out."""
        return tuple(sorted(row for at, rows in enumerate(self.folds) if at != fold for row in rows))


def split(tickets: Tickets, seed: int, test_min: int = 200, clusters: Sequence[int] | None = None) -> Split:
    """Split by time where there are dates, else by label; `test_min` test rows or cross-validation.

    `clusters` are the rows' near-copy clusters where the caller has them; finding them costs most of the time.
    """
    rows = tickets.rows
    if len(rows) < 3:
        raise DatasetError(
            f"{len(rows)} rows cannot be split.", what_next="Add tickets: 50 a queue are useful."
        )
    clusters = find_duplicates(tickets.texts).of if clusters is None else clusters
    groups, apart = _groups(rows, clusters)
    if len(groups) > 1:
        parts = _divide(rows, groups, clusters, apart, seed, test_min)
        if len(parts.train) >= MIN_TRAIN_SHARE * len(rows):
            return parts
    groups = _join(clusters)
    if len(groups) > 1:
        return _divide(rows, groups, clusters, "near-copies (customers overlap too much)", seed, test_min)
    first: dict[str, int] = {}
    same = [first.setdefault(" ".join(row.text.split()), at) for at, row in enumerate(rows)]
    return _divide(rows, _join(same), same, "equal texts (all rows are near-copies of one)", seed, test_min)


def _divide(
    rows: Sequence[Ticket],
    groups: list[list[int]],
    clusters: Sequence[int],
    apart: str,
    seed: int,
    test_min: int,
) -> Split:
    labels = [row.label or "" for row in rows]
    if len(rows) < SMALL * test_min:
        return _cross_validated(groups, labels, clusters, apart, seed, test_min)
    size = min(max(test_min, round(TEST_SHARE * len(rows))), MAX_TEST_ROWS)
    dates = _dates(rows)
    if dates is not None:
        test, left_out, how = _latest(groups, dates, size)
    else:
        manner = "in the proportions of the labels" if any(labels) else "at random"
        test, left_out, how = *_by_label(groups, labels, size, seed), f"drawn {manner}"
    train, dev = _dev(groups, labels, test | left_out, seed)
    leaks = _leaks(clusters, train, dev, test)
    left_out |= leaks
    train, dev = train - leaks, dev - leaks
    counts = f"{len(train)} to train, {len(dev)} to choose, {len(test)} to test"
    omission = f"; {len(left_out)} left out, for they would leak" if left_out else ""
    how = f"{counts}; test = {how}; {apart} kept on one side{omission}"
    return Split(_in_order(train), _in_order(dev), _in_order(test), how, _in_order(left_out))


def _groups(rows: Sequence[Ticket], clusters: Sequence[int]) -> tuple[list[list[int]], str]:
    """Rows that must stay together (one customer's, one thread's; without either, one near-copy cluster's)
    and the name of what is kept together.

    Near-copies across customers are not joined, or one popular sentence would chain all customers into one
    group: `_leaks` drops them from the training side instead.
    """
    keys: list[list[str]] = [[] for _ in rows]
    kinds = []
    for kind in ("customer", "thread"):
        values = [(getattr(row, kind) or "").strip().casefold() for row in rows]
        common = Counter(values)
        used = [
            value if value and common[value] <= max(2, PLACEHOLDER * len(rows)) else "" for value in values
        ]
        if any(common[value] > 1 for value in used if value):
            kinds.append(f"{kind}s")
        for row, value in enumerate(used):
            if value:
                keys[row].append(f"{kind} {value}")
    parent = list(range(len(rows)))
    first_row: dict[str, int] = {}
    for row in range(len(rows)):
        for key in keys[row] or [f"cluster {clusters[row]}"]:
            union(parent, first_row.setdefault(key, row), row)
    return _join([find(parent, row) for row in range(len(rows))]), ", ".join([*kinds, "near-copies"])


def _join(homes: Iterable[int]) -> list[list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    for row, home in enumerate(homes):
        members[home].append(row)
    return list(members.values())


def _dates(rows: Sequence[Ticket]) -> list[datetime | None] | None:
    """The rows' times, or None where too few have one or all fall within a fortnight."""
    dates = [row.created_at for row in rows]
    days = sorted(when for when in dates if when)
    if len(days) < DATED * len(rows) or (days[-1] - days[0]).days < 14:
        return None
    return dates


def _latest(
    groups: list[list[int]], dates: list[datetime | None], size: int
) -> tuple[set[int], set[int], str]:
    """The newest rows as test. Earlier rows of their customers are left out where that costs little, else
    tested too; either way every dated training row is older than the latest weeks."""
    when = {row: date for row, date in enumerate(dates) if date}
    newest = sorted(when, key=lambda row: (when[row], row), reverse=True)
    home = {row: at for at, group in enumerate(groups) for row in group}
    strict = set(newest[:size])
    earlier = {row for at in {home[row] for row in strict} for row in groups[at]} - strict
    if len(earlier) <= MAX_LEFT_OUT_SHARE * len(dates):
        start = when[newest[size - 1]]
        return strict, earlier, f"the latest weeks (since {start:%Y-%m-%d})"
    test: set[int] = set()
    for row in newest:
        if len(test) >= size:
            break
        test |= set(groups[home[row]])
        start = when[row]
    recent = sum(row in when and when[row] >= start for row in test)
    older = len(test) - recent
    how = f"everyone who wrote since {start:%Y-%m-%d} ({recent} rows since then and {older} earlier)"
    return test, set(), how


def _by_label(groups: list[list[int]], labels: list[str], size: int, seed: int) -> tuple[set[int], set[int]]:
    """A test set of at least `size` rows in the labels' proportions."""
    total = len(labels)
    share = size / total
    sides = _spread(groups, labels, [share, 1 - share], seed)
    test, rest = set(sides[0]), [group for group in groups if group[0] not in set(sides[0])]
    for group in sorted(rest, key=len):
        if len(test) >= size:
            break
        test |= set(group)
    return test, set()


def _dev(
    groups: list[list[int]], labels: list[str], test_rows: set[int], seed: int
) -> tuple[set[int], set[int]]:
    """The rest as (train, dev) in the labels' proportions; every label keeps rows in train if it can."""
    rest = [left for group in groups if (left := [row for row in group if row not in test_rows])]
    count = sum(map(len, rest))
    if count < 2 or len(rest) < 2:
        return {row for group in rest for row in group}, set()
    share = min(DEV_SHARE, MAX_DEV_ROWS / count)
    dev, train = _spread(rest, labels, [share, 1 - share], seed + 1)
    if not dev or not train:
        smallest = min(rest, key=lambda group: (len(group), group))
        dev = smallest
        train = [row for group in rest if group is not smallest for row in group]
    return set(train), set(dev)


def _leaks(clusters: Sequence[int], train: set[int], dev: set[int], test: set[int]) -> set[int]:
    """Rows of train and dev with a near-copy in test, and rows of train with one in dev."""
    test_clusters = {clusters[row] for row in test}
    leaks = {row for row in train | dev if clusters[row] in test_clusters}
    dev_clusters = {clusters[row] for row in dev - leaks}
    return leaks | {row for row in train if clusters[row] in dev_clusters}


def _cross_validated(
    groups: list[list[int]], labels: list[str], clusters: Sequence[int], apart: str, seed: int, test_min: int
) -> Split:
    """Folds for few rows, and the first fold as a test set for those who need just one."""
    total = len(labels)
    folds = min(FOLDS, len(groups))
    if folds < 2:
        raise DatasetError(
            "All rows are copies of each other or of one customer.", what_next="Add other tickets."
        )
    spread = _spread(groups, labels, [1 / folds] * folds, seed)
    first: dict[int, int] = {}
    fold_of = {row: at for at, rows in enumerate(spread) for row in rows}
    left_out = {row for row in range(total) if first.setdefault(clusters[row], fold_of[row]) != fold_of[row]}
    folds_left = tuple(_in_order(set(rows) - left_out) for rows in spread)
    folds_left = tuple(rows for rows in folds_left if rows)
    test = set(folds_left[0])
    train, dev = _rejoin(*_dev(groups, labels, test | left_out, seed), groups, clusters)
    if not dev and len(folds_left) > 2:
        dev = set(folds_left[1])
        train -= dev
    how = (
        f"{total} rows are too few for {test_min} test rows: cross-validate over {len(folds_left)} folds "
        f"(or test on the first, {len(test)} rows: only a large difference would show); "
        f"{apart} kept on one side" + (f"; {len(left_out)} left out, for they would leak" if left_out else "")
    )
    return Split(_in_order(train), _in_order(dev), _in_order(test), how, _in_order(left_out), folds_left)


def _rejoin(
    train: set[int], dev: set[int], groups: list[list[int]], clusters: Sequence[int]
) -> tuple[set[int], set[int]]:
    """Dev's groups that hold a near-copy of a training row go to train, until none does; no row is lost."""
    while True:
        train_clusters = {clusters[row] for row in train}
        back = {
            row
            for group in groups
            if any(clusters[r] in train_clusters for r in group if r in dev)
            for row in group
        } & dev
        if not back:
            return train, dev
        train, dev = train | back, dev - back


def _spread(groups: list[list[int]], labels: list[str], shares: list[float], seed: int) -> list[list[int]]:
    """Deal whole groups onto sides of the given shares so that each side's labels keep their proportions.

    Greedy, largest group first: a group goes where its labels are wanted most.
    """
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=len, reverse=True)
    totals = Counter(labels)
    targets = [{label: share * count for label, count in totals.items()} for share in shares]
    rarity = {label: 1 / count for label, count in totals.items()}
    sides: list[list[int]] = [[] for _ in shares]
    for group in order:
        counts = Counter(labels[row] for row in group)
        scores = [
            sum(count * rarity[label] * want[label] / share for label, count in counts.items())
            if share
            else -1e9
            for want, share in zip(targets, shares, strict=True)
        ]
        side = max(range(len(sides)), key=lambda at: (scores[at], -at))
        sides[side].extend(group)
        for label, count in counts.items():
            targets[side][label] -= count
    return sides


def _in_order(rows: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(rows))


def describe_split(sides: Split, of_tuned: str) -> str:
    """How the rows were divided, as a run used them; `tuned` is "cross-validated" or "one fold"."""
    if not sides.folds:
        return sides.how
    number, rows = len(sides.folds), sum(map(len, sides.folds))
    few = "too few tickets for a test set of their own"
    if of_tuned == "cross-validated":
        return (
            f"{few}: every system is cross-validated over {number} folds, so each of the {rows} tickets is "
            "held out once"
        )
    return (
        f"{len(sides.train)} to train, {len(sides.dev)} to choose; {few}: the cheap systems are cross-validated "
        f"over {number} folds ({rows} tickets), the tuned one is compared on one fold, {len(sides.test)} "
        "tickets, where only a large difference shows"
    )
