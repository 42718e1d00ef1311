"""What happens to every file before it is kept: cleaned, then redacted, with the counts for its card.

Redacting loads Presidio, which loads spaCy, which loads torch where it is installed: some 440 MB. A process
that must stay small (the bot) calls `prepare_apart`, which does it in a child that ends with the work.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

from finetune.data.prepare import clean
from finetune.data.redact import redact
from finetune.data.ticket import Tickets


def prepare(tickets: Tickets) -> tuple[Tickets, Mapping[str, object]]:
    """The rows to keep and the card's `cleaned`, `redactions` and `not_covered`."""
    cleaned = clean(tickets)
    redacted = redact(cleaned.tickets)
    counts = {name: count for name, count in cleaned.counts.items() if count}
    found = {"cleaned": counts, "redactions": redacted.counts, "not_covered": redacted.not_covered}
    return redacted.tickets, found


def prepare_apart(tickets: Tickets) -> tuple[Tickets, Mapping[str, object]]:
    """`prepare` in a process of its own; some seconds slower for the loading."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(prepare, tickets).result()
