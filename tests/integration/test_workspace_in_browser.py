"""What a person sees in a real browser: answers, the reading corrected by menus, and the story to a report.

One fresh workspace with bot and worker for all; each question is the newest message of the channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import LocalStack, local_stack
from tests.homes import home_with_graphs
from tests.integration.conftest import workspace_page

pytestmark = pytest.mark.integration
QUESTION = (
    "@trainwise replies in our brand voice: prompt with a style guide and 20 examples, editors reject 4 in 10"
    " out of 380. We have 3.2k approved replies and the voice is settled. Fine-tune?"
)
MAILS = "@trainwise our support mails: 3,000 of them are labelled with 8 queues, should we train?"
HELP_CENTER = "@trainwise our help center changes every week, should we fine-tune on the articles?"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, embed_cache: Path) -> Iterator[LocalStack]:
    """A workspace of its own, with bot and worker."""
    home = home_with_graphs(tmp_path_factory.mktemp("browser"), embed_cache)
    with local_stack(home, fresh=True) as running:
        running.wait_for_bot()
        yield running


def replies(page: Any, words: str) -> Any:
    """The button that opens the thread of the channel's message with these words."""
    message = page.get_by_role("main").get_by_role("article").filter(has_text=words)
    return message.get_by_role("button", name=re.compile(r"\d repl(y|ies)"))


def test_a_verdict_a_follow_up_a_source_and_a_refusal(fresh: LocalStack, browser: Any) -> None:
    """The card names each source that it shows and no other; what no document holds is refused with what is near."""
    with workspace_page(browser, fresh.url, "maya", 40) as page:
        box, thread = (
            page.get_by_label("Message #support-ml"),
            page.get_by_role("complementary", name="Thread"),
        )
        box.fill(QUESTION)
        box.press("Enter")
        replies(page, "editors reject 4 in 10").click()
        thread.get_by_text("Next step").wait_for()
        thread.get_by_text("3,200 approved replies").first.wait_for()
        thread.get_by_role("button", name="What would change it?").wait_for()
        text = thread.get_by_role("button", name="Read [").all_inner_texts()
        assert text == [f"Read [{n}]" for n in range(1, 4)]
        page.get_by_placeholder("Reply…").fill("and what would it cost?")
        page.get_by_placeholder("Reply…").press("Enter")
        thread.get_by_text("One LoRA run on an 8B model").last.wait_for()
        thread.get_by_text("costs $100-1000s").last.wait_for()
        assert thread.get_by_text("nearest in meaning").count() == 0
        thread.get_by_role("button", name="Read [1]").last.click()
        source = page.get_by_role("dialog")
        source.get_by_text("Fine-tuning adjusts an existing model").first.wait_for()
        source.get_by_role("button", name="Close").first.click()
        source.wait_for(state="hidden")
        box.fill("@trainwise which vector database is fastest?")
        box.press("Enter")
        replies(page, "which vector database").click()
        thread.get_by_text("found nothing that answers this").wait_for()
        assert thread.get_by_role("button", name="Read [1]").count() == 0


def test_a_person_opens_the_menus_and_a_choice_updates_the_verdict_in_place(
    fresh: LocalStack, browser: Any
) -> None:
    """One reply before and after: the line says what changed, the chosen option stands in its menu."""
    with workspace_page(browser, fresh.url, "maya", 40) as page:
        box = page.get_by_label("Message #support-ml")
        box.fill(MAILS)
        box.press("Enter")
        replies(page, "labelled with 8 queues").click()
        thread = page.get_by_role("complementary", name="Thread")
        thread.get_by_text("I understood").wait_for()
        assert thread.locator("select").count() == 0
        thread.get_by_role("button", name="Wrong? Correct it").click()
        task = thread.locator("select[data-action='reading:task']")
        task.wait_for()
        assert thread.locator("select").count() == 5
        assert task.input_value() == "classify"
        assert thread.get_by_text("The verdict was").count() == 0
        task.select_option(value="qa")
        thread.get_by_text("The verdict was").wait_for()
        assert thread.locator("select[data-action='reading:task']").input_value() == "qa"
        assert thread.get_by_text("I understood").count() == 1  # the same message, not one more
        replies(page, "labelled with 8 queues").wait_for()


def test_a_person_asks_reads_the_answer_submits_the_form_and_sees_the_report(
    fresh: LocalStack, browser: Any
) -> None:
    """Typed question -> cited verdict in the thread; /finetune -> form -> card -> report with a picture."""
    with workspace_page(browser, fresh.url, "ravi", 60) as page:
        asks_and_reads(page)
        fills_the_form(page)
        sees_the_report(page)


def asks_and_reads(page: Any) -> None:
    """The verdict, and a source that opens at the quoted passage."""
    box = page.get_by_label("Message #support-ml")
    box.fill(HELP_CENTER)
    box.press("Enter")
    replies(page, "help center changes every week").click()
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
