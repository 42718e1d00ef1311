"""What a pull changed, in counts and words."""

from __future__ import annotations

import json

from finetune.data.ticket import Ticket
from finetune.pulls.change_report import Change, change_lines, describe_change, drift_of, languages_of
from finetune.pulls.merging import PulledRows, merge

FACTS = {"rows": 60, "left_out": {"no label": 3}, "skips": {}, "not_covered": ""}
GERMAN = "Ich kann mich seit gestern nicht mehr anmelden, obwohl das Passwort ganz sicher stimmt, Nummer"
ENGLISH = "I have not been able to sign in since yesterday although the password is certainly right, number"


def rows(count: int, queue: str, text: str = ENGLISH, first: int = 0) -> list[Ticket]:
    """Tickets of one queue."""
    return [Ticket(str(number), f"{text} {number}", queue) for number in range(first, first + count)]


def arrivals(tickets: list[Ticket]) -> PulledRows:
    """Tickets as a pull gathers them."""
    return PulledRows({one.id: one for one in tickets}, frozenset(), FACTS)


def test_new_queues_drift_and_languages_are_told() -> None:
    """In plain sentences with counts, before and after."""
    base = [*rows(80, "Billing"), *rows(80, "Login", first=100)]
    new = [*rows(50, "Billing", GERMAN, 200), *rows(10, "Returns", GERMAN, 300)]
    change = describe_change("Zendesk", base, arrivals(new), merge(base, arrivals(new)), 2)
    text = "\n".join(change_lines(change))
    assert "60 new, 0 changed, 0 gone. Version 2 has 220 tickets (160 before)." in text
    assert "Left out: 3 no label. They come once they have a label." in text
    assert "New queues: Returns (10)." in text
    assert "Drift: the new tickets fall into the queues otherwise" in text
    assert "Login 0% (50% before)" in text
    assert "Languages of the new tickets: German 100%." in text
    assert "Not seen before: German." in text
    assert Change.from_json(json.loads(json.dumps(change.to_json()))) == change


def test_no_drift_where_the_shares_are_as_before() -> None:
    """The same shares, and too few to tell, are said as such."""
    before = {"Billing": 200, "Login": 100}
    same = drift_of(before, {"Billing": 41, "Login": 19})
    assert same is not None
    assert same.p_value > 0.5
    assert drift_of(before, {"Billing": 20}) is None
    other = drift_of(before, {"Billing": 10, "Login": 50})
    assert other is not None
    assert other.p_value < 0.001
    assert other.moves[0][0] in before


def test_queues_too_small_to_test_count_together() -> None:
    """Many queues of one ticket each make no drift of their own."""
    before = {"Billing": 100, "Login": 100} | {f"q{number}": 1 for number in range(20)}
    new = {"Billing": 30, "Login": 31} | {f"n{number}": 1 for number in range(5)}
    drift = drift_of(before, new)
    assert drift is not None
    assert drift.p_value > 0.05


def test_a_ticket_or_two_in_another_language_is_none() -> None:
    """Three tickets and a fiftieth of them at least."""
    texts = [one.text for one in [*rows(50, "a"), *rows(2, "a", GERMAN, 60)]]
    assert set(languages_of(texts)) == {"en"}


def test_merging_accounts_for_every_row() -> None:
    """What was there and what came is what stays, was replaced, left or is a copy."""
    base = rows(10, "Billing")
    new = [Ticket("3", "Other words than before stand here", "Login"), *rows(2, "Billing", first=50)]
    new.append(Ticket("99", base[0].text, "Billing"))
    came = PulledRows({one.id: one for one in new}, frozenset({"5"}), FACTS)
    result = merge(base, came)
    assert (result.new_ids, result.changed_ids, result.gone_ids) == (("50", "51"), ("3",), ("5",))
    assert len(base) + len(new) == len(result.rows) + result.replacements + result.departures + result.copies
