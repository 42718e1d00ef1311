"""Redaction: what is covered is found and counted, ordinary words stay, what is missing is said."""

from __future__ import annotations

import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from finetune.data.prepare import clean
from finetune.data.redact import (
    NOT_COVERED,
    Find,
    Span,
    _engine,
    hide_spans,
    presidio,
    pseudonym,
    redact,
    secret_spans,
)
from finetune.data.ticket import Ticket, Tickets

FOUND = {
    "EMAIL": ("bob.k@ex-ample.co.uk", "Jürgen@müller.de", "a.b+c@sub.example.technology"),
    "CARD": ("4111 1111 1111 1111", "4111-1111-1111-1111", "5500005555555559", "340000000000009"),
    "IBAN": ("DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "FR1420041010050500013M02606"),
    "IP": ("192.168.1.10", "2001:db8::ff00:42:8329"),
    "PHONE": ("+44 20 7946 0958", "(212) 555-0187", "+49 30 12345678", "+1 415 555 2671", "07911 123456"),
    "SSN": ("536-90-4399",),
    "SECRET": (
        *("sk-proj-abcDEF1234567890abcd", "AKIAIOSFODNN7EXAMPLE", "xoxb-123456789012-abcdefGHIJ"),
        *("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "5d41402abc4b2a76b9719d911017c592"),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    ),
}


@pytest.fixture(scope="module")
def look() -> Find:
    """Presidio, loaded once; a missing one is a failure, for redaction without it is another promise."""
    return presidio()


def only(text: str, names: tuple[str, ...] = (), **more: str) -> Tickets:
    return Tickets((Ticket(id="t", text=text, names=names, **more),), "triage")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in FOUND.items() for value in values]
)
def test_what_is_covered_is_replaced_by_its_kind(kind: str, value: str, look: Find) -> None:
    """Each value alone in a sentence gives one mark and one count, and no part of it stays."""
    result = redact(only(f"Hello, it is {value} as I said."), look)
    assert result.tickets.rows[0].text == f"Hello, it is <{kind}> as I said."
    assert result.counts == {kind: 1}


@pytest.mark.parametrize(
    "text",
    [
        "I paid 2,500.00 EUR on 2026-05-04 at 12:30 for 3 seats",
        "Error 404 on page 12 since version 10.1, 100000 rows",
        "My pin was not sent and my password is wrong",
        "the order number is missing; ticket costs 12.500; account 2024; case closed",
        "https://example.com/path/to/page?sort=date&page=2",
        "Will the May invoice be ready? Grace period ends soon.",
        "Room #12, gate B7, flight LH123, UN1263, 24/7",
    ],
)
def test_ordinary_words_and_numbers_stay(text: str, look: Find) -> None:
    """Amounts, dates, versions, plain links and words that are also names are no personal data."""
    result = redact(only(text, names=("Will Shah", "May Lee", "Grace Hopper")), look)
    if "Will" in text:  # its own people: their words are names here, the rest of the sentence is not
        assert result.tickets.rows[0].text.endswith("invoice be ready? <NAME> period ends soon.")
    else:
        assert result.tickets.rows[0].text == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("my password is hunter22!", "my password is <SECRET>"),
        ("pin: 1234, thanks", "pin: <SECRET>, thanks"),
        ("Authorization: Bearer abcdef1234567890XYZ", "Authorization: Bearer <SECRET>"),
        ("https://x.io/reset?token=abc123def&x=1", "https://x.io/reset?token=<SECRET>&x=1"),
        ("order number: 12345678 is late", "order number: <ORDER_ID> is late"),
        ("Invoice INV-2024-0017 and #98765", "Invoice <ORDER_ID> and #<ORDER_ID>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "<SECRET>"),
    ],
)
def test_secrets_and_references_go_by_the_words_around_them(text: str, left: str) -> None:
    """Passwords, tokens in links and headers, order and invoice numbers, key blocks."""
    assert hide_spans(text, secret_spans(text), Counter()) == left


def test_people_of_the_name_columns_are_hidden(look: Find) -> None:
    """Full names of anyone in the file everywhere, single names in their own ticket only; answers too."""
    rows = (
        Ticket("1", "Maya here, Patel's account, told ravi", answer="Hi Maya, Ravi Shah here", names=("Maya Patel", "Ravi Shah")),
        Ticket("2", "Maya Patel sent me; Maya said so", names=("Bo Li",)),
        Ticket("3", "My name is Ana Ruiz and I wait", names=()),
    )  # fmt: skip
    result = redact(Tickets(rows, "reply"), look)
    texts = [(row.text, row.answer) for row in result.tickets.rows]
    assert texts[0] == ("<NAME> here, <NAME> account, told <NAME>", "Hi <NAME>, <NAME> here")
    assert texts[1] == ("<NAME> sent me; Maya said so", None)
    assert texts[2] == ("My name is <NAME> and I wait", None)


def test_names_that_are_common_words_do_not_eat_the_text(look: Find) -> None:
    """An assignee called "Support Team" or a requester called Will: frequent words of the tickets stay."""
    rows = [
        Ticket(str(at), f"will support help the team with case {at}", names=("Support Team",))
        for at in range(9)
    ]
    result = redact(Tickets(tuple(rows), "triage"), look)
    assert result.tickets.rows[0].text == rows[0].text


def test_overlapping_finds_leave_nothing_behind() -> None:
    """Two kinds over one stretch become one mark over both, named by the graver kind."""
    counts: Counter[str] = Counter()
    spans = [Span(3, 8, "PHONE"), Span(5, 12, "CARD"), Span(12, 14, "NAME")]
    assert hide_spans("0123456789abcdef", spans, counts) == "012<CARD><NAME>ef"
    assert counts == {"CARD": 1, "NAME": 1}


def test_customers_become_pseudonyms(look: Find) -> None:
    """The same person however written, readable by nobody, unchanged by a second pass."""
    row = redact(only("x y", customer="Bo@Example.com"), look).tickets.rows[0]
    assert row.customer == pseudonym(" bo@example.COM ")
    assert "bo" not in str(row.customer)
    assert pseudonym(str(row.customer)) == row.customer


def test_looking_only_where_something_can_be_loses_nothing(look: Find, shared_data: Path) -> None:
    """Skipping texts without digit, @ or :: finds what looking everywhere finds, on real tickets."""
    import csv
    import json

    with (shared_data / "banking77" / "test.csv").open() as stream:
        texts = [row["text"] for row in csv.DictReader(stream)][:400]
    with (shared_data / "sgd_replies" / "test.jsonl").open() as stream:
        texts += [json.loads(line)["answer"] for line in stream][:400]
    everywhere = _engine()
    whole = [[(one.start, one.end) for one in everywhere(text)] for text in texts]
    assert [sorted(span[:2] for span in look(text)) for text in texts] == [sorted(spans) for spans in whole]
    assert sum(map(len, whole)) > 10


def test_long_texts_are_searched_to_the_end(look: Find) -> None:
    """Wherever a value stands in a long ticket, across pieces too, all of it goes."""
    value = "maya.patel@acme-corp.com"
    for padding in range(1280, 1520, 7):
        for filler in ("word ", "x"):
            text = (filler * 2000)[:padding].rstrip() + f" {value} " + "end " * 400
            cover = redact(only(text), look).tickets.rows[0].text
            assert "<EMAIL>" in cover, padding
            assert "patel" not in cover
            assert "acme" not in cover


@pytest.mark.parametrize("stuff", ["a.", "://a:"])
def test_tickets_made_to_stall_the_patterns_do_not(stuff: str, look: Find) -> None:
    """50,000 hostile characters cost seconds at most (an e-mail pattern took a minute before)."""
    text = (stuff * 50_000)[:49_990] + "@ok"
    start = time.process_time()
    clean(redact(only(text), look).tickets)
    assert time.process_time() - start < 20


def test_nothing_is_fetched_from_the_network(look: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presidio's own e-mail check downloads a list of endings; ours never opens a connection."""
    calls: list[object] = []

    def refuse(*where: object, **how: object) -> None:
        calls.append(where)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert [span.kind for span in presidio()("write to bo@example.co.uk or 192.168.1.1")] == ["EMAIL", "IP"]
    assert calls == []


def test_without_presidio_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets, references, names and addresses still go; what was not looked for stands on the card."""
    monkeypatch.setattr("finetune.data.redact.is_installed", lambda: False)
    result = redact(only("bo@example.com, +44 20 7946 0958, AKIAIOSFODNN7EXAMPLE"))
    assert result.tickets.rows[0].text == "<EMAIL>, +44 20 7946 0958, <SECRET>"
    assert "presidio-analyzer is not installed" in result.not_covered
    assert "phone numbers" in result.not_covered
    assert result.not_covered.endswith(NOT_COVERED)


def test_names_never_reach_the_stored_rows(look: Find) -> None:
    """The deny-list serves redaction and is not in what is kept."""
    result = redact(only("hello there", names=("Maya Patel",)), look)
    assert "Maya" not in str(result.tickets.rows[0].to_json())
