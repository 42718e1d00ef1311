"""Repairing a dataset: labels that look alike, rows that look like tests, decisions as versions that can be taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.card import card_lines
from finetune.data.dataset_repair import MAX_DESCRIBED_ROWS, Decider
from finetune.data.dummy_rows import is_dummy_text
from finetune.data.label_check import LabelCheck, LabelIssue, Overlap
from finetune.data.questions import ROWS_AT_ONCE, Question, open_questions
from finetune.data.repair import Decision, Draft, Repairs, apply_decisions, changed_rows
from finetune.data.similar_labels import similar_labels
from finetune.data.store import DatasetStore
from finetune.data.ticket import DatasetError, Ticket, Tickets
from tests.finetune.data.test_store import EVERYONE, HERE, as_they_are, url, words

__all__ = ["url"]
MAYA, ANA = Decider("U1", "Maya"), Decider("U2", "Ana")


@pytest.fixture
def store(url: str) -> DatasetStore:
    return DatasetStore(url, now=lambda: datetime(2026, 11, 29, tzinfo=UTC), prepare=as_they_are)


def messy_tickets(extra: str = "") -> Tickets:
    """30 tickets: 12 of Billing, 3 of Biling, 12 of Login, 3 tests among them."""
    labels = ["Billing"] * 12 + ["Biling"] * 3 + ["Login"] * 12
    rows = [
        Ticket(f"t{at}", f"{words(f'{label} {at}')} {extra}".strip(), label, customer=f"user{at}@example.com")
        for at, label in enumerate(labels)
    ]
    rows += [Ticket(f"x{at}", text, "Login") for at, text in enumerate(("test 1", "Test 2", "asdf"))]
    return Tickets(tuple(rows), "triage")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Bug", "Bugs"),
        ("Biling", "Billing"),
        ("Help Desk", "helpdesk"),
        ("Recieved late", "Received late"),
        ("Billing", "Billing issues"),
        ("Rückgabe", "Ruckgabe"),
        ("Technical Support", "Technical issue"),
        ("returns_and_refunds", "Returns & Refund"),
    ],
)
def test_labels_that_look_like_one_are_offered(first: str, second: str) -> None:
    """Slips, plurals, joined words, accents, words that add nothing; the rarer one is first."""
    assert similar_labels([(second, 30), ("Something else", 9), (first, 3)]) == [(first, second)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Level 1", "Level 2"),
        ("B2B", "B2C"),
        ("Import", "Export"),
        ("Inbound", "Outbound"),
        ("card arrival", "card linking"),
        ("failed transfer", "declined transfer"),
        ("Hardware", "Hardware printer"),
        ("IT", "HR"),
        ("請求", "返品"),
    ],
)
def test_labels_that_mean_two_things_are_not(first: str, second: str) -> None:
    """Numbers, other words and opposites are no slips."""
    assert similar_labels([(second, 30), (first, 3)]) == []


def test_a_label_is_offered_once_for_the_largest_it_looks_like() -> None:
    """Three spellings of one label make two pairs, both with the most frequent one."""
    assert similar_labels([("Billing", 90), ("Login", 50), ("Biling", 7), ("Billling", 4)]) == [
        ("Biling", "Billing"),
        ("Billling", "Billing"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "test 1",
        "Test",
        "TEST TEST",
        "this is just a test",
        "asdf",
        "Testticket bitte ignorieren",
        "xxxx",
        "测试",
    ],
)
def test_rows_that_say_only_that_somebody_tried_are_seen(text: str) -> None:
    """In a few languages, with numbers and signs around."""
    assert is_dummy_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "the test suite fails on main",
        "My test results are late",
        "ok",
        "please help",
        "4711",
        "",
        "hello, hello",
        "VPN",
    ],
)
def test_short_real_tickets_are_not(text: str) -> None:
    """A test that something is about, and words that only greet."""
    assert not is_dummy_text(text)


def test_each_question_comes_with_counts_and_three_examples() -> None:
    """Pairs first, then tests, then doubts; what is decided is not asked again."""
    check = LabelCheck(
        27, 30, (LabelIssue("t2", "Billing", "Login", 0.1, 0.8),), (Overlap("Billing", "Login", 0.4),)
    )
    tickets = messy_tickets()
    questions = open_questions(tickets, (), check)
    assert [(one.kind, one.labels) for one in questions] == [
        ("merge", ("Biling", "Billing")),
        ("merge", ("Billing", "Login")),
        ("drop", ()),
        ("label", ("Billing", "Login")),
    ]
    pair, tests, doubt = questions[0], questions[2], questions[3]
    assert pair.counts == (3, 12)
    assert [marks for _, marks in pair.texts] == [("Biling",)] * 3 + [("Billing",)] * 3
    assert tests.ids == ("x0", "x1", "x2")
    assert "10%, the other one 80%" in doubt.why
    leave = [
        decision("apart", pair.labels),
        decision("stay", (), tests.ids),
        decision("keep", doubt.labels, doubt.ids),
    ]
    assert [one.kind for one in open_questions(tickets, leave, check)] == ["merge"]
    with pytest.raises(DatasetError, match="answers no such question"):
        pair.draft("drop")


def test_doubts_follow_the_merges() -> None:
    """What is suggested is called as it is now; a doubt that a merge has settled is gone."""
    check = LabelCheck(
        27,
        30,
        (LabelIssue("t2", "Billing", "Biling", 0.1, 0.8), LabelIssue("t20", "Login", "Biling", 0.1, 0.8)),
    )
    merge = decision("merge", ("Biling", "Billing"))
    tickets = messy_tickets()
    after = replace(tickets, rows=apply_decisions(tickets.rows, [merge]))
    labels = [one.labels for one in open_questions(after, [merge], check) if one.kind == "label"]
    assert labels == [("Login", "Billing")]


def decision(kind: str, labels: tuple[str, ...] = (), ids: tuple[str, ...] = (), number: int = 1) -> Decision:
    return Decision(number, kind, labels, ids, 1, "U1", "Maya", "2026-11-29T00:00:00+00:00", 2)  # type: ignore[arg-type]


drafts = st.one_of(
    st.builds(Draft, st.just("merge"), st.tuples(st.sampled_from("abc"), st.sampled_from("abc"))),
    st.builds(
        Draft,
        st.just("label"),
        st.tuples(st.sampled_from("abc"), st.sampled_from("abc")),
        st.tuples(st.sampled_from("0123456789")),
    ),
    st.builds(Draft, st.just("drop"), st.just(()), st.tuples(st.sampled_from("0123456789"))),
)


@given(st.lists(drafts, max_size=8))
def test_all_decisions_at_once_are_the_same_as_one_after_the_other(steps: list[Draft]) -> None:
    """The rows that are made anew are those that people saw, whatever they decided."""
    rows = tuple(Ticket(str(at), f"text {at}", "abc"[at % 3]) for at in range(10))
    decisions = [decision(one.kind, one.labels, one.ids, at) for at, one in enumerate(steps)]
    by_step = rows
    for one in decisions:
        before = by_step
        by_step = tuple(after for row in by_step if (after := after_step(row, one)))
        assert changed_rows(before, Draft(one.kind, one.labels, one.ids)) == len(before) - sum(
            any(row is old for row in by_step) for old in before
        )
    assert apply_decisions(rows, decisions) == by_step


def after_step(row: Ticket, one: Decision) -> Ticket | None:
    """A row after one decision; the same object where it leaves it alone."""
    if one.kind == "merge" and row.label == one.labels[0] and one.labels[0] != one.labels[1]:
        return replace(row, label=one.labels[1])
    if one.kind == "label" and row.id in one.ids and row.label != one.labels[1]:
        return replace(row, label=one.labels[1])
    return None if one.kind == "drop" and row.id in one.ids else row


def ask(store: DatasetStore, kind: str) -> Question:
    """The first open question of a kind about `tickets`."""
    return next(one for one in store.repairs.inspect(store.get("tickets")).questions if one.kind == kind)


def test_each_answer_is_a_version_that_says_who_and_when(store: DatasetStore) -> None:
    """Rows of the versions before stay as they are, so what runs on them keeps them."""
    first = store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    assert (
        "To look at: labels that look like one: “Biling” and “Billing”; 3 rows that look like tests."
        in card_lines(first)
    )
    merge_card = store.repairs.decide("tickets", ask(store, "merge").draft("merge"), MAYA)
    drop_card = store.repairs.decide("tickets", ask(store, "drop").draft("only:1"), ANA)
    assert [card.version for card in store.versions("tickets")] == [1, 2, 3]
    assert (merge_card.classes, drop_card.rows) == ((("Billing", 15), ("Login", 15)), 29)
    assert store.tickets(first.digest).rows == messy_tickets().rows
    assert [row.id for row in store.tickets(drop_card.digest).rows if row.id[0] == "x"] == ["x0", "x2"]
    assert store.tickets(merge_card.digest).digest == merge_card.digest
    assert (drop_card.added_by, drop_card.scopes, drop_card.licence) == ("U1", ("channel:C1",), "internal")
    text = "\n".join(card_lines(drop_card))
    assert (
        "Repaired: 1 row dropped as tests, by Ana on 2026-11-29; “Biling” counts as “Billing” (3 rows), by Maya on"
        in text
    )
    assert "asdf" not in text
    assert store.get("tickets") == drop_card == type(drop_card).from_json(drop_card.to_json())


def test_any_answer_can_be_taken_back_after_others(store: DatasetStore) -> None:
    """The first decision goes, the second stays; who took it back is kept; once is all."""
    first = store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    store.repairs.decide("tickets", ask(store, "merge").draft("merge"), MAYA)
    store.repairs.decide("tickets", ask(store, "drop").draft("drop"), MAYA)
    back = store.repairs.undo("tickets", 1, ANA)
    assert (back.version, back.rows, dict(back.classes)["Biling"]) == (4, 27, 3)
    assert back.repairs["decisions"][0]["undone_by"] == "Ana"
    assert store.repairs.undo("tickets", 2, ANA).digest == first.digest
    with pytest.raises(DatasetError, match="cannot be taken back"):
        store.repairs.undo("tickets", 1, ANA)
    assert [one.kind for one in store.repairs.inspect(store.get("tickets")).questions] == ["merge", "drop"]


def test_leaving_things_alone_is_kept_without_a_version(store: DatasetStore) -> None:
    """The rows are the same, so the version is; it is not asked again, and can be taken back too."""
    first = store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    question = ask(store, "merge")
    card = store.repairs.decide("tickets", question.draft("apart"), MAYA)
    assert (card.version, card.digest) == (1, first.digest)
    assert "Biling” and" not in "\n".join(card_lines(card))
    store.repairs.undo("tickets", 1, MAYA)
    assert ask(store, "merge") == question
    store.repairs.decide("tickets", question.draft("merge"), MAYA)
    with pytest.raises(DatasetError, match="decided this already"):
        store.repairs.decide("tickets", question.draft("merge"), ANA)


@pytest.mark.parametrize("mine", [Draft("stay", (), ("x0",)), Draft("drop", (), ("x0",))])
def test_two_who_decide_at_once_lose_nothing(store: DatasetStore, url: str, mine: Draft) -> None:
    """Another bot's answer comes in while the first one reads the rows: both stand, and so does what was counted meanwhile."""
    store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    others = [Draft("apart", ("Biling", "Billing"))]

    def now() -> datetime:
        if others:
            card = store.repairs.decide("tickets", others.pop(), ANA)
            store.annotate(card, noise={"checked": 20, "suspects": 2})
        return datetime(2026, 11, 29, tzinfo=UTC)

    card = DatasetStore(url, now=now, prepare=as_they_are).repairs.decide("tickets", mine, MAYA)
    assert [one["kind"] for one in card.repairs["decisions"]] == ["apart", mine.kind]
    assert card.noise["suspects"] == 2
    assert store.get("tickets") == card


def test_what_would_leave_no_dataset_is_refused(store: DatasetStore) -> None:
    """Merging the last two labels, dropping nearly all rows."""
    store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    store.repairs.decide("tickets", Draft("merge", ("Biling", "Billing")), MAYA)
    with pytest.raises(DatasetError, match="one class only"):
        store.repairs.decide("tickets", Draft("merge", ("Billing", "Login")), MAYA)
    with pytest.raises(DatasetError, match="at least 10"):
        store.repairs.decide("tickets", Draft("drop", (), tuple(f"t{at}" for at in range(24))), MAYA)
    assert store.get("tickets").version == 2


def test_the_check_of_the_labels_counts_what_is_open(store: DatasetStore) -> None:
    """The card's number falls with each answer; the check is gone with its rows."""
    card = store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    doubts = tuple(LabelIssue(f"t{at}", "Billing", "Login", 0.1, 0.8) for at in (1, 2))
    store.repairs.save_check(card.digest, LabelCheck(20, 30, doubts))
    card = store.annotate(card, noise={"checked": 20, "suspects": 2, "share": 0.1, "of": 30})
    assert store.repairs.inspect(card).notes == ("A model looked at 20 of 30 labels, drawn at random.",)
    new = store.repairs.decide("tickets", ask(store, "label").draft("change"), MAYA)
    assert "Labels: 1 of 20 look wrong (5.0%; 20 of 30 were drawn)." in card_lines(new)
    store.remove("tickets", "U1")
    assert store.repairs.check_of(card) is None


def test_who_asks_to_be_forgotten_is_erased_from_repaired_versions(store: DatasetStore) -> None:
    """Also where a decision had dropped their row; what was decided stays as history and cannot be taken back."""
    store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    merge_card = store.repairs.decide("tickets", Draft("merge", ("Biling", "Billing")), MAYA)
    store.forget("user3@example.com", "U1")
    newest = store.get("tickets")
    assert (newest.rows, newest.repairs["decisions"][0]["is_settled"]) == (29, True)
    with pytest.raises(DatasetError, match="are gone"):
        store.tickets(merge_card.digest)
    with pytest.raises(DatasetError, match="cannot be taken back"):
        store.repairs.undo("tickets", 1, MAYA)
    assert store.repairs.decide("tickets", Draft("drop", (), ("x0",)), MAYA).rows == 28


def test_a_version_without_their_row_outlives_the_rows_it_was_made_of(store: DatasetStore) -> None:
    """The dropped row is erased with the version that has it; the repaired one is written out first."""
    store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    drop_card = store.repairs.decide("tickets", Draft("drop", (), ("t3",)), MAYA)
    store.forget("user3@example.com", "U1")
    assert len(store.tickets(drop_card.digest)) == 29
    assert store.get("tickets") == drop_card
    assert store.repairs.decide("tickets", Draft("merge", ("Biling", "Billing")), MAYA).version == 3


def test_a_removed_dataset_comes_back_with_its_repairs(store: DatasetStore) -> None:
    """Hidden for a day, then gone with every version."""
    store.keep(messy_tickets(), "tickets", "U1", EVERYONE, "")
    merge_card = store.repairs.decide("tickets", Draft("merge", ("Biling", "Billing")), MAYA)
    removal = store.removals.hide("tickets")
    store.removals.restore(removal.key)
    assert len(store.tickets(merge_card.digest)) == 30
    store.remove("tickets", "U1")
    with pytest.raises(DatasetError, match="are gone"):
        store.tickets(merge_card.digest)


def test_the_file_again_begins_anew(store: DatasetStore) -> None:
    """The rows of the file are the next version, without the decisions; those stand on the versions before."""
    store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    store.repairs.decide("tickets", Draft("merge", ("Biling", "Billing")), MAYA)
    again = store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    assert (again.version, again.repairs) == (3, {})


def test_large_datasets_keep_what_is_slow_to_find(store: DatasetStore) -> None:
    """Counts of classes, rows and tests are of the new rows; copies and split are those of the version before."""
    rows = [
        Ticket(f"r{at}", f"words {at} {at * 7}", "Bug" if at % 3 else "Bugs")
        for at in range(MAX_DESCRIBED_ROWS)
    ]
    rows += [Ticket(f"x{at}", f"test {at}", "Other") for at in range(ROWS_AT_ONCE)]
    card = store.keep(Tickets(tuple(rows), "triage"), "tickets", "U1", HERE, "internal")
    new = store.repairs.decide("tickets", ask(store, "merge").draft("merge"), MAYA)
    assert (new.rows, new.classes) == (card.rows, (("Bug", MAX_DESCRIBED_ROWS), ("Other", ROWS_AT_ONCE)))
    assert new.duplicates == card.duplicates
    assert (
        store.repairs.decide("tickets", ask(store, "drop").draft("drop"), MAYA).tryouts == ROWS_AT_ONCE - 10
    )


def test_decisions_read_what_a_newer_version_wrote() -> None:
    """Unknown facts of a decision are passed over."""
    values = Repairs("d", (decision("merge", ("a", "b")),)).to_json()
    values["decisions"][0]["mood"] = "certain"
    assert Repairs.from_json(values, "x") == Repairs("d", (decision("merge", ("a", "b")),))


def test_decisions_apply_to_rows_added_later(store: DatasetStore) -> None:
    """A pull brings rows and old ones anew: merges, labels and drops are made again, and can still be taken back."""
    first = store.keep(messy_tickets(), "tickets", "U1", HERE, "internal")
    for draft in (
        Draft("merge", ("Biling", "Billing")),
        Draft("label", ("Login", "Billing"), ("t20",)),
        Draft("drop", (), ("x0",)),
    ):
        store.repairs.decide("tickets", draft, MAYA)
    later = Tickets((*messy_tickets().rows, Ticket("n1", words("new"), "Biling")), "triage")
    assert store.repairs.original_digest(store.get("tickets")) == first.digest
    card = store.repairs.carry_over(first.digest, store.keep(later, "tickets", "U1", HERE, "internal"))
    rows = {row.id: row.label for row in store.tickets(card.digest).rows}
    assert (rows["n1"], rows["t20"], "x0" in rows) == ("Billing", "Billing", False)
    assert store.repairs.carry_over(first.digest, store.get(later.digest)) == card
    back = store.repairs.undo("tickets", 1, ANA)
    assert {row.label for row in store.tickets(back.digest).rows if row.id in ("n1", "t12")} == {"Biling"}
