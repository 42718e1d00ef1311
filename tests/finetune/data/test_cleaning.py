"""Cleaning: what a mail program added goes, what the customer wrote stays, and everything is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.data.prepare import clean, is_automatic, plain, without_history, without_signature
from finetune.data.reading import read_tickets
from finetune.data.ticket import Ticket, Tickets

OWN = "The export stops at row 5,000.\nCan you raise the limit?"
QUOTES = {
    "gmail": f"{OWN}\n\nOn Mon, 3 May 2026 at 10:00, Acme Support <help@acme.test> wrote:\n> Hello,\n> what is it?",
    "gmail, wrapped": f"{OWN}\n\nOn Monday, May 3, 2026, Acme Support Team\n<help@acme.test> wrote:\n> Hello",
    "gmail, unquoted below": f"{OWN}\n\nOn Mon, 3 May 2026 Acme <help@acme.test> wrote:\nHello, what is it?",
    "outlook": f"{OWN}\n\nFrom: Acme <help@acme.test>\nSent: Monday, 3 May 2026\nTo: Bo\nSubject: RE: Export\n\nHello",
    "divider": f"{OWN}\n\n-----Original Message-----\nHello, what is it?",
    "zendesk": f"{OWN}\n##- Please type your reply above this line -##\nYour request (123) was updated",
    "german": f"{OWN}\n\nAm 03.05.2026 um 10:00 schrieb Acme Support:\n> Hallo",
    "french": f"{OWN}\n\nLe lun. 3 mai 2026 à 10:00, Acme <help@acme.test> a écrit :\n> Bonjour",
    "answer below": f"On Mon, 3 May 2026 Acme <help@acme.test> wrote:\n> what is it?\n\n{OWN}",
    "answers between": "> how many rows?\n> which browser?\n> and when?\n" + OWN,
}


@pytest.mark.parametrize("name", QUOTES)
def test_quoted_history_goes(name: str) -> None:
    """Each common way of quoting leaves exactly the customer's own words."""
    assert without_history(QUOTES[name]) == OWN


@pytest.mark.parametrize(
    "text",
    [
        "> 5 items do not fit in the basket",
        "On 3 May my colleague wrote: do it again. What did he mean?",
        "From: field is empty in the export",
        "Customer: Hi\nAgent: Hello, what is it?\nCustomer: no sound",
        "-----Original Message-----\nFrom: x\nSent: y\nplease handle this forwarded complaint",
        "The log says:\n>>> import trainwise\nand then it hangs",
    ],
)
def test_words_that_only_look_like_history_stay(text: str) -> None:
    """One quoted line, a sentence about writing, a dialogue and a bare forward are left as they are."""
    assert without_history(text) == text


SIGNED = {
    "dashes": f"{OWN}\n-- \nMaya Patel\nAcme Ltd\n+44 20 7946 0958",
    "sign-off": f"{OWN}\n\nBest regards,\nMaya Patel\nHead of Support | Acme Ltd\nmaya@acme.test",
    "thanks": f"{OWN}\n\nThanks,\nMaya",
    "german": f"{OWN}\n\nMit freundlichen Grüßen\nJörg Müller\nEinkauf",
    "device": f"{OWN}\n\nSent from my iPhone",
    "legal": f"{OWN}\n\nThis email and any attachments are confidential and intended only for the addressee.",
    "all at once": f"{OWN}\n\nKind regards\nMaya Patel\n\nSent from my iPhone",
}


@pytest.mark.parametrize("name", SIGNED)
def test_signatures_go(name: str) -> None:
    """Dashes, closing phrases with a name, device lines and legal notices are cut."""
    assert without_signature(SIGNED[name]) == OWN


@pytest.mark.parametrize(
    "text",
    [
        "Thanks,\nMaya",
        f"{OWN}\n\nThanks,\nplease also look at the invoice, it is wrong.",
        f"{OWN}\n\nThanks\nDo you open on Sunday?",
        "The regards page is broken.\nBest\nRegards show up twice in the mail footer, which confuses everyone!",
        "List:\n-- \n" + "item one\n" * 30,
    ],
)
def test_words_that_only_look_like_a_signature_stay(text: str) -> None:
    """A request below a thank-you, a message that is nothing else, and a long list are kept whole."""
    assert without_signature(text) == text


def test_an_agents_closing_phrase_is_kept_without_the_name() -> None:
    """In answers the phrase is the voice to learn; the name below it is not."""
    text = "We raised it.\n\nKind regards,\nRavi Shah\nAcme Support"
    assert without_signature(text, keep_greeting=True) == "We raised it.\n\nKind regards,"


@pytest.mark.parametrize(
    "text",
    [
        "Automatic reply: Export stops",
        "Out of Office: Maya Patel\nback on Monday",
        "Hello, I am out of the office until 12 May with limited access to mail.",
        "Undelivered Mail Returned to Sender",
        "Delivery Status Notification (Failure)",
        "This is an automated message, please do not reply.",
        "Automatische Antwort: Urlaub",
    ],
)
def test_machines_mail_is_recognised(text: str) -> None:
    """PendingRemoval notes, bounces and automatic confirmations."""
    assert is_automatic(text)


@pytest.mark.parametrize(
    "text",
    [
        "How do I set an out of office message for my team?",
        "Your automatic reply says ten days, it has been twenty. Where is my parcel?",
        "The delivery failed twice, please send it again",
        "I was out of the office when the driver came, can he come back?",
        "Automated reports stopped arriving on Monday",
    ],
)
def test_questions_about_machines_mail_stay(text: str) -> None:
    """A customer who writes about such messages is a customer."""
    assert not is_automatic(text)


def test_html_becomes_text() -> None:
    """Blocks become lines, scripts vanish, entities are letters; a text that mentions a tag is left alone."""
    page = "<div>Hello&nbsp;<b>team</b>,</div><p>it&rsquo;s broken.<br>Really.</p><style>p{}</style>"
    assert plain(page) == "Hello team,\n\nit’s broken.\nReally."
    mention = "Why does my <div> close too early?"
    assert plain(mention) == mention
    assert plain("Q&amp;A page") == "Q&A page"


def ticket(at: int, text: str, label: str | None = "bug", answer: str | None = None) -> Ticket:
    return Ticket(id=f"t{at}", text=text, label=label, answer=answer, line=at + 2)


def test_rows_are_left_out_with_their_line_and_counted() -> None:
    """Copies, automatic replies and rows without words; long ones are noted."""
    texts = [
        "Order 123 never arrived",
        "Order 123  never arrived ",
        "Automatic reply: holiday",
        "12345 ???",
        "The app is slow",
        "long " * 1500,
    ]
    result = clean(Tickets(tuple(ticket(at, text) for at, text in enumerate(texts)), "triage"))
    assert [row.id for row in result.tickets.rows] == ["t0", "t4", "t5"]
    counts = {name: count for name, count in result.counts.items() if count}
    assert counts == {"exact copies": 1, "automatic replies": 1, "without words": 1, "very long": 1}
    lines = [(problem.line, problem.is_kept) for problem in result.tickets.problems]
    assert lines == [(3, False), (4, False), (5, False), (7, True)]
    assert "copy of the row at 2" in result.tickets.problems[0].message


def test_equal_texts_with_other_labels_or_answers_stay() -> None:
    """Which label is right is not for cleaning to say; two answers to one question are both true."""
    rows = (ticket(0, "Where is it?"), ticket(1, "Where is  it?", "shipping"), ticket(2, "Where is it?"))
    result = clean(Tickets(rows, "triage"))
    assert [row.id for row in result.tickets.rows] == ["t0", "t1"]
    assert result.counts["same text, other label"] == 2
    answers = (
        ticket(0, "Open?", None, "Yes."),
        ticket(1, "Open?", None, "Until five."),
        ticket(2, "Open?", None, "Yes. "),
    )
    assert [row.id for row in clean(Tickets(answers, "reply")).tickets.rows] == ["t0", "t1"]


def test_cleaning_twice_changes_nothing_more() -> None:
    """A second pass finds nothing: what is clean stays clean."""
    texts = [*QUOTES.values(), *SIGNED.values(), "<p>Hi</p><p>there is a problem</p>"]
    once = clean(
        Tickets(tuple(ticket(at, f"{text} {at}") for at, text in enumerate(texts)), "triage")
    ).tickets
    twice = clean(once)
    assert twice.tickets.rows == once.rows


def test_the_sample_needs_no_cleaning() -> None:
    """The bundled tickets are hand-written: no row is left out, one HTML entity is in a customer's own words."""
    sample = Path(__file__).parents[3] / "finetune" / "samples" / "tickets.csv"
    result = clean(read_tickets(sample))
    assert len(result.tickets) == 658
    assert sum(result.counts.values()) <= 1
