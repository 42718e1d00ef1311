"""A page of a help desk as the tickets that are kept."""

from __future__ import annotations

from finetune.pulls.page_import import import_page
from finetune.sources.contract import Page, Query

QUERY = Query("", {"id": "id", "text": "text", "label": "queue"})


def test_a_ticket_that_stands_twice_on_a_page_counts_as_it_is_last() -> None:
    """Under its own id, so that the next change finds it; it has not left."""
    texts = ("The printer is on fire", "The lamp is broken", "The printer is wet")
    rows = tuple(
        {"id": number, "text": text, "queue": "Hardware"}
        for number, text in zip((5, 6, 5), texts, strict=True)
    )
    facts = {"intake": {}, "cleaned": {}, "redactions": {}, "not_covered": ""}
    page = import_page(Page(rows, {}, True), QUERY, lambda tickets: (tickets, facts), 1)
    assert {row["id"]: row["text"] for row in page["rows"]} == {"5": texts[2], "6": texts[1]}
    assert page["left"] == []
    assert page["facts"]["rows"] == 2
