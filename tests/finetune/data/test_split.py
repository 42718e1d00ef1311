"""Splits never leak: near-copies, customers and threads on one side, the latest weeks as test."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune.data.duplicates import find_duplicates, normalise
from finetune.data.split import PLACEHOLDER, Split, split
from finetune.data.ticket import DatasetError, Ticket, Tickets

START = datetime(2026, 1, 1, tzinfo=UTC)


def words(draw: random.Random, count: int) -> list[str]:
    return ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(count)]


def random_tickets(
    rows: int, seed: int, *, copies: float, customers: int, threads: int, dates: bool, labels: int = 4
) -> Tickets:
    """Random tickets of which a share are near-copies of earlier ones (two words of fourteen changed)."""
    draw = random.Random(seed)
    texts: list[list[str]] = []
    tickets = []
    for at in range(rows):
        text = list(draw.choice(texts)) if texts and draw.random() < copies else words(draw, 14)
        for place in draw.sample(range(14), 2 if texts else 0):
            text[place] = words(draw, 1)[0]
        texts.append(text)
        ticket = Ticket(
            id=str(at),
            text=" ".join(text),
            label=f"queue {int(labels * draw.random() ** 2)}",
            customer=f"c{draw.randrange(customers)}" if customers else None,
            thread=f"t{draw.randrange(threads)}" if threads else None,
            created_at=START + timedelta(hours=draw.random() * 24 * 200) if dates else None,
        )
        tickets.append(ticket)
    return Tickets(tuple(tickets), "triage")


def sides_of(parts: Split) -> list[tuple[int, ...]]:
    return [parts.train, parts.dev, parts.test]


def on_one_side(parts: Split, keys: list[str | int | None]) -> bool:
    """Whether no key (None is no key) has rows on two sides."""
    homes: dict[str | int, int] = {}
    for side, rows in enumerate(sides_of(parts)):
        for row in rows:
            key = keys[row]
            if key is not None and homes.setdefault(key, side) != side:
                return False
    return True


@settings(max_examples=25, deadline=None)
@example(rows=35, seed=0, copies=0.0, customers=8, threads=50, dates=False, test_min=40)
@example(rows=15, seed=0, copies=0.5, customers=8, threads=0, dates=False, test_min=10)
@given(
    rows=st.integers(12, 200),
    seed=st.integers(0, 10**6),
    copies=st.sampled_from([0.0, 0.1, 0.5]),
    customers=st.sampled_from([0, 8, 60, 400]),
    threads=st.sampled_from([0, 50]),
    dates=st.booleans(),
    test_min=st.sampled_from([10, 40]),
)
def test_nothing_leaks_whatever_the_tickets(
    rows: int, seed: int, copies: float, customers: int, threads: int, dates: bool, test_min: int
) -> None:
    """Every row is on exactly one side or left out; clusters, customers and threads are never divided."""
    tickets = random_tickets(rows, seed, copies=copies, customers=customers, threads=threads, dates=dates)
    parts = split(tickets, seed, test_min)
    members = [row for side in [*sides_of(parts), parts.left_out] for row in side]
    assert sorted(members) == list(range(rows))
    assert parts.train
    assert parts.test
    assert on_one_side(parts, list(find_duplicates(tickets.texts).of))
    for kind in ("customer", "thread"):
        if f"{kind}s" in parts.how and "overlap too much" not in parts.how:
            values = [getattr(row, kind) for row in tickets.rows]
            common = {value for value, count in Counter(values).items() if count > max(2, PLACEHOLDER * rows)}
            assert on_one_side(parts, [None if value in common else value for value in values])
    assert len(parts.test) >= test_min or parts.folds
    assert split(tickets, seed, test_min) == parts


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(15, 90), seed=st.integers(0, 10**6), customers=st.sampled_from([0, 20]))
@example(rows=15, seed=0, customers=20)  # one name on more than a fifth of the tickets is no person
def test_folds_do_not_leak_either(rows: int, seed: int, customers: int) -> None:
    """Cross-validation: the folds cover each row once, and no cluster or customer is in two."""
    tickets = random_tickets(rows, seed, copies=0.3, customers=customers, threads=0, dates=False)
    parts = split(tickets, seed)
    assert "too few for 200 test rows: cross-validate over" in parts.how
    assert sorted([row for fold in parts.folds for row in fold] + list(parts.left_out)) == list(range(rows))
    of = find_duplicates(tickets.texts).of
    often = Counter(row.customer for row in tickets.rows)
    names = [
        row.customer if often[row.customer] <= max(2, PLACEHOLDER * rows) else None for row in tickets.rows
    ]
    for fold, part in enumerate(parts.folds):
        rest = parts.training(fold)
        assert not {of[row] for row in part} & {of[row] for row in rest}
        if customers and "overlap too much" not in parts.how:
            assert not {names[row] for row in part} & {names[row] for row in rest} - {None}


def test_the_latest_weeks_are_the_test() -> None:
    """With dates every test row is newer than every other dated row, and the date stands in `how`."""
    tickets = random_tickets(1500, 1, copies=0.02, customers=0, threads=0, dates=True)
    parts = split(tickets, 7)
    newest = max(tickets.rows[row].created_at or START for row in parts.train + parts.dev)
    oldest = min(tickets.rows[row].created_at or START for row in parts.test)
    assert newest <= oldest
    assert 200 <= len(parts.test) <= 0.2 * 1500
    assert f"the latest weeks (since {oldest:%Y-%m-%d})" in parts.how


def test_without_dates_the_labels_keep_their_proportions() -> None:
    """The test set has each queue's share of the whole, within three points; it is not balanced."""
    tickets = random_tickets(2000, 2, copies=0.05, customers=0, threads=0, dates=False)
    parts = split(tickets, 7)
    whole = Counter(row.label for row in tickets.rows)
    shares = Counter(tickets.rows[row].label for row in parts.test)
    for label, count in whole.items():
        assert abs(count / 2000 - shares[label] / len(parts.test)) < 0.03
    assert "drawn in the proportions of the labels" in parts.how
    assert shares.most_common(1)[0][1] > 2 * shares.most_common()[-1][1]


def test_a_fortnight_is_too_short_to_split_by_time() -> None:
    """All tickets of one week: the test is drawn by label instead."""
    rows = random_tickets(800, 3, copies=0, customers=0, threads=0, dates=False).rows
    week = tuple(
        Ticket(row.id, row.text, row.label, created_at=START + timedelta(minutes=at))
        for at, row in enumerate(rows)
    )
    assert "proportions" in split(Tickets(week, "triage"), 7).how


def test_a_placeholder_customer_chains_nothing() -> None:
    """A third of the rows by "web form": they are not one person, and the split is not starved."""
    rows = list(random_tickets(900, 4, copies=0, customers=500, threads=0, dates=False).rows)
    rows = [Ticket(row.id, row.text, row.label, customer="web form" if at % 3 == 0 else row.customer)
            for at, row in enumerate(rows)]  # fmt: skip
    parts = split(Tickets(tuple(rows), "triage"), 7)
    assert len(parts.train) > 500
    assert len(parts.test) >= 200


def test_a_popular_sentence_does_not_join_all_customers() -> None:
    """A copied template by half of the customers: its training rows are left out, the rest trains."""
    rows = [
        Ticket(row.id, "please send me the invoice for last month again" if at % 4 == 0 else row.text, row.label,
               customer=row.customer)
        for at, row in enumerate(random_tickets(1200, 5, copies=0, customers=600, threads=0, dates=False).rows)
    ]  # fmt: skip
    parts = split(Tickets(tuple(rows), "triage"), 7)
    assert len(parts.train) > 500
    assert on_one_side(parts, list(find_duplicates([row.text for row in rows]).of))
    assert "left out, for they would leak" in parts.how


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_too_few_rows_are_refused(rows: int) -> None:
    """Under three rows nothing can be split; the error says what is useful."""
    with pytest.raises(DatasetError, match="cannot be split"):
        split(random_tickets(rows, 6, copies=0, customers=0, threads=0, dates=False), 7)


def test_all_copies_are_refused() -> None:
    """A hundred copies of one ticket leave nothing to test on."""
    copies = tuple(
        Ticket(str(at), "order 7 is  late" if at % 2 else "order 7 is late", "shipping") for at in range(100)
    )
    with pytest.raises(DatasetError, match="copies of each other"):
        split(Tickets(copies, "triage"), 7)


def test_rows_that_differ_by_a_number_only_can_be_split() -> None:
    """K08: where likeness would put all rows on one side, equal texts alone are kept together."""
    rows = tuple(
        Ticket(str(at), f"Error E-{1000 + at} when saving", ("disk", "net")[at % 2]) for at in range(60)
    )
    sides = split(Tickets(rows, "triage"), 7)
    assert len(sides.train) + len(sides.dev) + len(sides.test) == 60
    assert "equal texts" in sides.how


def test_edited_copies_are_found_and_strangers_are_not() -> None:
    """Three words of fifty changed: same cluster. Other tickets: none. Case and numbers do not count."""
    draw = random.Random(8)
    texts, pairs = [], []
    for at in range(150):
        text = words(draw, 50)
        copy = list(text)
        for place in draw.sample(range(50), 3):
            copy[place] = words(draw, 1)[0]
        pairs.append((2 * at, 2 * at + 1))
        texts += [" ".join(text), " ".join(copy)]
    clusters = find_duplicates(texts)
    assert sum(clusters.of[left] == clusters.of[right] for left, right in pairs) >= 143  # .95 of 150
    assert len(set(clusters.of)) >= 150
    assert normalise("ORDER #12-a: Late!") == normalise("order 99: late")
    assert find_duplicates(["Order 12 late", "order 99, late", "other"]).exact == 1


def test_tickets_without_labels_are_drawn_at_random():
    """Replies have no labels: the sentence on the split does not speak of any."""
    rows = tuple(Ticket(str(at), f"{random.Random(at).random():.9f} {at}", answer="yes") for at in range(600))
    assert "drawn at random" in split(Tickets(rows, "reply"), 1).how
