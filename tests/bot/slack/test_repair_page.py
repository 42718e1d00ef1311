"""The form that repairs a dataset: within Slack's limits and harmless, whatever labels and tickets hold; one question at a time."""

from __future__ import annotations

import json

import pytest

from bot.slack.ui.forms import FormMetadata
from bot.slack.ui.limits import texts_of, validate_view
from bot.slack.ui.repair_page import next_question, repair_view, waiting_view
from finetune.data.dataset_repair import Inspection
from finetune.data.label_check import LabelCheck, LabelIssue
from finetune.data.questions import Question, open_questions
from finetune.data.repair import Decision
from finetune.data.ticket import Ticket, Tickets
from tests.finetune.data.test_card import CARD

NASTY = "<!channel> & <https://evil.example|the guide> *_~`" * 30
MEMORY = FormMetadata("C0SUPPORTML", None, "tickets")


def questions(text: str, label: str) -> tuple[Question, ...]:
    """A pair to merge, many tests, a doubt, all with this text and label."""
    rows = [Ticket(f"a{at}", f"{text} {at}", f"{label} alpha") for at in range(9)]
    rows += [Ticket(f"b{at}", f"{text} {at}", f"{label} alphas") for at in range(4)]
    rows += [Ticket(f"x{at}", f"test {at}" + "!" * at, "Other") for at in range(30)]
    doubt = LabelIssue("a1", f"{label} alpha", "Other", 0.1, 0.8)
    return open_questions(Tickets(tuple(rows), "triage"), (), LabelCheck(40, 43, (doubt,)))


def inspection(asked: tuple[Question, ...], decisions: tuple[Decision, ...] = ()) -> Inspection:
    return Inspection(CARD, asked, decisions, False, ("A model looked at 40 of 43 labels, drawn at random.",))


@pytest.mark.parametrize(
    ("text", "label"), [(NASTY, "queue " + "q" * 300), ("&" * 3000, "&" * 300), ("short", "Bug")]
)
def test_every_question_fits_and_pings_nobody(text: str, label: str) -> None:
    """Each kind of question, from long and hostile tickets, is a form that Slack takes."""
    every = questions(text, label)
    assert [one.kind for one in every] == ["merge", "drop", "drop", "drop", "label"]
    history = tuple(
        Decision(at, "merge", (label, text), (), 3, "U1", "<!here>", "2026-11-29T00:00:00+00:00", at)
        for at in range(9)
    )
    for at in range(len(every)):
        after = every[at - 1].id if at else ""
        view = validate_view(repair_view(inspection(every, history), MEMORY, after, "✅ done"))
        shown = json.dumps(view, ensure_ascii=False)
        assert "<!" not in shown
        assert "<https" not in shown
        assert every[at].id in shown
    validate_view(waiting_view(CARD, MEMORY))


def test_the_next_question_comes_after_the_last_and_begins_anew() -> None:
    """An id that is gone, as after an answer, begins with the first."""
    every = questions("short", "Bug")
    assert next_question(every, "") == every[0]
    assert next_question(every, every[0].id) == every[1]
    assert next_question(every, every[-1].id) == every[0]
    assert next_question((), "") is None


def test_what_was_taken_back_says_by_whom_and_has_no_button() -> None:
    """Decisions that hold can be undone; settled and undone ones cannot."""
    facts = {
        "labels": ("a", "b"),
        "ids": (),
        "rows": 2,
        "by": "U1",
        "by_name": "Maya",
        "at": "2026-11-29T00:00:00+00:00",
    }
    decisions = (
        Decision(1, "merge", version=2, undone_by="Ana", undone_at="2026-11-30T00:00:00+00:00", **facts),
        Decision(2, "merge", version=4, is_settled=True, **facts),
        Decision(3, "merge", version=5, **facts),
    )
    view = repair_view(inspection((), decisions), MEMORY)
    assert "taken back by Ana on 2026-11-30" in "\n".join(texts_of(view["blocks"]))
    undo = [
        b["accessory"]["value"]
        for b in view["blocks"]
        if b.get("accessory", {}).get("action_id") == "repair:undo"
    ]
    assert undo == ["3"]
