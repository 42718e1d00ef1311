"""The story as a person lives it: in a real browser, against the real bot, worker and training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import local_stack
from tests.integration.conftest import workspace_page

pytestmark = pytest.mark.integration
QUESTION = "@trainwise our help center changes every week, should we fine-tune on the articles?"


def test_a_person_asks_reads_the_answer_submits_the_form_and_sees_the_report(
    tmp_path: Path, browser: Any
) -> None:
    """Typed question -> cited verdict in the thread; /finetune -> form -> card -> report with a picture."""
    with local_stack(tmp_path, fresh=True) as stack:
        stack.wait_for_bot()
        with workspace_page(browser, stack.url, "ravi", 60) as page:
            asks_and_reads(page)
            fills_the_form(page)
            sees_the_report(page)


def asks_and_reads(page: Any) -> None:
    """The verdict, and a source that opens at the quoted passage."""
    box = page.get_by_label("Message #support-ml")
    box.fill(QUESTION)
    box.press("Enter")
    page.get_by_role("button", name="1 reply").click()
    thread = page.get_by_role("complementary", name="Thread")
    thread.get_by_text("Retrieve, don't train (RAG)").wait_for()
    thread.get_by_text("Next step").wait_for()
    thread.get_by_role("button", name="Read [1]").click()
    passage = page.get_by_role("dialog")
    passage.get_by_text(re.compile("house guide|Field notes")).first.wait_for()
    passage.get_by_role("button", name="Close").first.click()
    passage.wait_for(state="hidden")


def fills_the_form(page: Any) -> None:
    """`/finetune`: a bad number is named on its field; corrected, the form is taken."""
    box = page.get_by_label("Message #support-ml")
    box.fill("/finetune")
    box.press("Enter")
    form = page.get_by_role("dialog", name="Fine-tune")
    form.get_by_label("Method").select_option(label="Linear on frozen embeddings (seconds)")
    form.get_by_label("Epochs").wait_for(state="detached")
    budget = form.get_by_label("Budget in US dollars")
    budget.fill("-1")
    form.get_by_role("button", name="Start").click()
    form.get_by_text("from 0.01 to 100000").wait_for()
    budget.fill("5")
    form.get_by_role("button", name="Start").click()
    form.wait_for(state="hidden")


def sees_the_report(page: Any) -> None:
    """The card in the channel comes to its end; its thread holds the table, the interval and pictures."""
    channel = page.get_by_role("main")
    channel.get_by_text("Done").first.wait_for(timeout=900_000)
    channel.get_by_role("button", name="2 replies").click()  # the report and its pictures
    thread = page.get_by_role("complementary", name="Thread")
    thread.get_by_text("Majority", exact=False).first.wait_for()
    thread.get_by_text("95%", exact=False).first.wait_for()
    picture = thread.locator("img[alt^='Bar chart']").first
    picture.wait_for()
    width = picture.evaluate("element => element.decode().then(() => element.naturalWidth)")
    assert width > 200
