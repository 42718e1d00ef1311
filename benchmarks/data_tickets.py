"""Real tickets with planted faults whose truth is known: copies, mail clutter, personal data, wrong labels.

BANKING77 questions and SGD dialogues from ../shared/data, in turn; where that is absent, the bundled sample
over and over with a number in each.
"""

from __future__ import annotations

import csv
import json
import random
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from finetune.data.ticket import Ticket

ROOT = Path(__file__).parents[1]
SHARED = ROOT / ".." / "shared" / "data"
EDITS = (0.03, 0.08, 0.15)
PLANTED = {
    "EMAIL": ("maya.patel@acme-corp.com", "j.muller+help@mail.example.org"),
    "PHONE": ("+44 20 7946 0958", "(415) 555-2671", "+49 30 12345678", "07911 123456", "555-123-4567"),
    "CARD": ("4111 1111 1111 1111", "5500-0055-5555-5559", "340000000000009"),
    "IBAN": ("DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"),
    "IP": ("192.168.17.4", "2001:db8::ff00:42:8329"),
    "SSN": ("536-90-4399",),
    "SECRET": (
        "sk-proj-a8Kd92LmQz71Xy04Bn5v",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    ),
    "ORDER_ID": ("order 4417-22198", "invoice INV-2026-00817"),
}
CLUTTER = (
    "{own}\n\nOn Mon, 3 May 2026 at 10:00, Acme Support <help@acme.test> wrote:\n> Hello,\n> how can we help you today?",
    "{own}\n\nFrom: Acme Support\nSent: Monday, 3 May 2026\nTo: Customer\nSubject: RE: your case\n\nHello, how can we help?",
    "{own}\n\nBest regards,\nMaya Patel\nHead of Operations | Acme Ltd",
    "{own}\n-- \nMaya Patel\nAcme Ltd\n+44 20 7946 0958",
    "{own}\n\nSent from my iPhone",
    "{own}\n\nThanks,\nMaya\n\nOn 3 May 2026, Acme <help@acme.test> wrote:\n> Hello,\n> how can we help?",
)
MACHINES = (
    "Automatic reply: {own}",
    "I am out of the office until 12 May with limited access to email. {own}",
    "Undelivered Mail Returned to Sender\n{own}",
)


@dataclass
class TicketsWithTruth:
    """The rows and, for each fault, where it was planted and what is right."""

    rows: list[Ticket] = field(default_factory=list)
    exact: list[tuple[int, int]] = field(default_factory=list)
    near: dict[float, list[tuple[int, int]]] = field(default_factory=dict)
    clutter: dict[int, str] = field(default_factory=dict)
    machines: list[int] = field(default_factory=list)
    personal: dict[int, tuple[str, str]] = field(default_factory=dict)
    clean: list[int] = field(default_factory=list)


def real_texts() -> tuple[list[str], str]:
    """Texts of two kinds in turn, and where they come from."""
    if not SHARED.is_dir():
        with (ROOT / "finetune" / "samples" / "tickets.csv").open(newline="", encoding="utf-8") as stream:
            sample = [row["text"] for row in csv.DictReader(stream)]
        return [f"{text} ({turn} of us)" for turn in range(40) for text in sample], "bundled sample, repeated"
    short: list[str] = []
    for name in ("train", "test"):
        with (SHARED / "banking77" / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
            short += [row["text"] for row in csv.DictReader(stream)]
    long: list[str] = []
    for name in ("train", "test"):
        with (SHARED / "sgd_replies" / f"{name}.jsonl").open(encoding="utf-8") as stream:
            long += [json.loads(line)["ticket"] for line in stream]
    texts = [text for pair in zip_longest(short, long) for text in pair if text]
    return texts, "BANKING77 and SGD"


def plant(count: int, seed: int = 5) -> tuple[TicketsWithTruth, str]:
    """`count` tickets: 72% as they are, the rest with one known fault each."""
    texts, source = real_texts()
    draw, out = random.Random(seed), TicketsWithTruth()
    share = count // 100
    originals = texts[: count - 28 * share]
    out.rows = [Ticket(f"r{at}", text, "queue") for at, text in enumerate(originals)]
    out.clean = [at for at, text in enumerate(originals) if "\n" not in text]
    long = [at for at, text in enumerate(originals) if len(text.split()) >= 20]

    def add(text: str) -> int:
        out.rows.append(Ticket(f"r{len(out.rows)}", text, "queue"))
        return len(out.rows) - 1

    for at in draw.sample(range(len(originals)), 5 * share):
        out.exact.append((at, add(originals[at].upper() + " !")))
    for edits in EDITS:
        out.near[edits] = [
            (at, add(edit_words(originals[at], edits, draw))) for at in draw.sample(long, 3 * share)
        ]
    for at in draw.sample(out.clean, 6 * share):
        own = f"{originals[at]} Case {code(draw)}."
        out.clutter[add(draw.choice(CLUTTER).format(own=own))] = own
    out.machines = [add(draw.choice(MACHINES).format(own=f"{code(draw)} holiday")) for _ in range(share)]
    for at in draw.sample(out.clean, 7 * share):
        kind = draw.choice(sorted(PLANTED))
        value = draw.choice(PLANTED[kind])
        out.personal[add(f"{originals[at]} {code(draw)} {value} please")] = (kind, value)
    return out, source


def edit_words(text: str, share: float, draw: random.Random) -> str:
    """The text with this share of its words replaced by others of its own alphabet."""
    words = text.split()
    for place in draw.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = code(draw)
    return " ".join(words)


def code(draw: random.Random) -> str:
    """A made-up word."""
    return "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=7))
