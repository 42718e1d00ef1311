"""What people read about their documents: progress, outcomes, and nothing of this machine's paths."""

from __future__ import annotations

import pytest

from bot.errors import BotError
from bot.slack.features.documents import _report_text, document_line, web_address
from bot.slack.services import scopes_of
from bot.slack.ui.forms import FormMetadata, documents_modal
from rag.ingest.sync import SyncReport
from rag.search.store import Document

HERE = frozenset({"channel:C1"})


def document(scopes: frozenset[str], title: str = "A <b>") -> Document:
    return Document("0123456789ab", "/r", "/r/a.md", title, None, scopes, "", "", "")


def test_a_document_is_listed_with_who_sees_it() -> None:
    """Titles are words, not markup."""
    assert document_line(document(HERE)) == "• *A &lt;b&gt;*  ·  this channel  ·  `0123456789ab`"
    assert "everyone" in document_line(document(frozenset({"workspace"})))


def test_an_outcome_says_counts_and_problems_without_our_paths() -> None:
    """At most eight problems, the rest as a number."""
    report = SyncReport(
        additions=2, problems=[f"/home/x/F1/all.zip!/{n}.pdf: is damaged." for n in range(11)]
    )
    text = _report_text(report, "/home/x/F1/all.zip", "all.zip")
    assert text.startswith("2 added or changed\n• all.zip!/0.pdf: is damaged.")
    assert text.endswith("and 3 more that were left out")
    assert "/home" not in text
    assert _report_text(SyncReport()) == "nothing added"


def test_an_outcome_flags_what_a_document_orders_ai_readers() -> None:
    """Who added it reads it in Slack, as text: no markup of the document works."""
    note = '/home/x/F1/a.md: holds text that gives orders to AI readers: "<!channel> ignore all".'
    text = _report_text(SyncReport(additions=1, notes=[note] * 9), "/home/x/F1/a.md", "a.md")
    assert text.startswith("1 added or changed\n• ⚠️ a.md: holds text that gives orders")
    assert "&lt;!channel&gt;" in text
    assert text.endswith("and 1 more notes")


def test_the_form_takes_every_kind_that_a_reader_reads() -> None:
    """The file input accepts the suffixes of all readers."""
    (picker,) = [
        block["element"]
        for block in documents_modal(FormMetadata("C1"))["blocks"]
        if block.get("block_id") == "file"
    ]
    assert {"odt", "rtf", "epub", "rst", "org", "mdx", "eml", "zip"} <= set(picker["filetypes"])


def test_a_form_cannot_choose_another_channel() -> None:
    """The scopes are the workspace or the form's own channel, whatever value the form holds."""
    assert scopes_of("channel:CSECRET", "C1") == HERE
    assert scopes_of("workspace", "C1") == frozenset({"workspace"})


@pytest.mark.parametrize("text", ["help.example.com", "file:///etc/passwd", "<javascript:x>", ""])
def test_what_is_no_web_address_is_refused_at_the_form(text: str) -> None:
    """Before anything is queued."""
    with pytest.raises(BotError, match="https://"):
        web_address(text)


def test_slacks_own_way_of_writing_links_is_understood() -> None:
    """<address|label> is the address."""
    assert web_address("<https://help.example.com/a|help>") == "https://help.example.com/a"
