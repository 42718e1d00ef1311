"""Names of datasets."""

from __future__ import annotations

import re

from finetune.data.ticket import DatasetError

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def check_name(name: str) -> str:
    """The name, if it can be one: lower-case ASCII letters, digits and single hyphens inside, 64 at most."""
    if not NAME.fullmatch(name):
        message = "A dataset's name has lower-case letters, digits and hyphens, 64 at most."
        raise DatasetError(message, what_next=f"Call it {suggest_name(name)!r}, for example.")
    return name


def suggest_name(text: str) -> str:
    """A dataset name made of a file's or a person's words: `Tickets Q3` -> `tickets-q3`."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:40].strip("-") or "tickets"
