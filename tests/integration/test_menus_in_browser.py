"""The reading corrected in a real browser: the menus open, one choice moves the verdict in the same message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import local_stack
from tests.integration.conftest import workspace_page

pytestmark = pytest.mark.integration
QUESTION = "@trainwise our support mails: 3,000 of them are labelled with 8 queues, should we train?"


def test_a_person_opens_the_menus_and_a_choice_updates_the_verdict_in_place(
    tmp_path: Path, browser: Any
) -> None:
    """One reply before and after: the line says what changed, the chosen option stands in its menu."""
    with local_stack(tmp_path, fresh=True, processes=("bot",)) as stack:
        stack.wait_for_bot()
        with workspace_page(browser, stack.url, "maya", 40) as page:
            box = page.get_by_label("Message #support-ml")
            box.fill(QUESTION)
            box.press("Enter")
            page.get_by_role("button", name="1 reply").click()
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
            page.get_by_role("button", name="1 reply").wait_for()
