"""A fine-tune from Slack where the worker has a language model: its prompts stand in the report's ladder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.demo.stack import local_stack
from bot.playground import Person
from tests.finetune.evaluation.test_prompting import reader
from tests.integration.conftest import text_of
from tests.openai_server import OpenAIServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CHANNEL = "#support-ml"


def test_the_report_in_slack_has_the_prompts_and_what_they_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings to worker to pipeline to report: three prompts, the number of requests, and no key in the logs."""
    key = "sk-live-51c0ffee51c0ffee"
    with OpenAIServer(answer=reader, key=key) as server:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        with local_stack(tmp_path, fresh=True) as stack:
            stack.wait_for_bot()
            ravi = Person(stack.url, "ravi")
            ravi.command("/finetune", "sample-tickets linear", CHANNEL)
            card = ravi.wait_message(CHANNEL, lambda m: "Fine-tune · sample-tickets" in text_of(m), 60)
            report = ravi.wait_message(CHANNEL, lambda m: "job_try" in str(m.get("blocks")), 200, card["ts"])
            log = stack.tail("worker", 10_000)
    text = text_of(report)
    assert text.count("Prompt, ") >= 3
    assert "requests with ticket texts went to" in text
    assert "for prompts" in text
    assert key not in log
