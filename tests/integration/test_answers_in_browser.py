"""What a person sees of answers in a real browser: a verdict, a follow-up, a source, a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import local_stack
from tests.integration.conftest import workspace_page

pytestmark = pytest.mark.integration
QUESTION = (
    "@trainwise replies in our brand voice: prompt with a style guide and 20 examples, editors reject 4 in 10"
    " out of 380. We have 3.2k approved replies and the voice is settled. Fine-tune?"
)


def test_a_verdict_a_follow_up_a_source_and_a_refusal(tmp_path: Path, browser: Any) -> None:
    """The card names each source that it shows and no other; what no document holds is refused with what is near."""
    with local_stack(tmp_path, fresh=True, processes=("bot",)) as stack:
        stack.wait_for_bot()
        with workspace_page(browser, stack.url, "maya", 40) as page:
            box, thread = (
                page.get_by_label("Message #support-ml"),
                page.get_by_role("complementary", name="Thread"),
            )
            box.fill(QUESTION)
            box.press("Enter")
            page.get_by_role("button", name="1 reply").click()
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
            page.get_by_role("button", name="1 reply").click()
            thread.get_by_text("found nothing that answers this").wait_for()
            assert thread.get_by_role("button", name="Read [1]").count() == 0
